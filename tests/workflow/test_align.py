"""``medcyclegan align`` on files: what it writes, what it refuses, and folders of patients."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from medcyclegan import read_scan
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, InputRefused, NotAligned
from medcyclegan.imaging.registration import Rigid
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.simulate.non_heads import abdomen
from medcyclegan.workflow import align as workflow
from medcyclegan.workflow.align import Aligned, AlignRequest, align_files
from medcyclegan.workflow.align_folders import align_folders, are_folders_of_patients
from tests.cli.conversion_inputs import Run, tree_hash
from tests.dicom_factory import make_series
from tests.moved_pairs import error_mm, moved_pair


def save(volume: Volume, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(volume, source_header=ItkSourceHeader(), to=path)
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an MR and its CT."""
    folder = tmp_path_factory.mktemp("pair")
    pair = moved_pair()
    save(pair.mr, folder / "mr.nii.gz")
    save(pair.ct, folder / "ct.nii.gz")
    return folder


@pytest.fixture(scope="module")
def done(inputs: Path) -> Aligned:
    request = AlignRequest(inputs / "mr.nii.gz", inputs / "ct.nii.gz", inputs / "out.nii.gz")
    return align_files(request, version="0.0.1")


def test_the_ct_comes_onto_the_grid_of_the_mr_with_all_that_tells_how(
    inputs: Path, done: Aligned
) -> None:
    mr = read_scan(inputs / "mr.nii.gz").volume
    ct = read_scan(inputs / "out.nii.gz", modality="CT").volume
    assert ct.geometry.same_grid(mr.geometry)
    assert ct.voxels.min() >= -1024.0
    sidecar = json.loads((inputs / "out.json").read_text())
    assert sidecar["Sources"] == ["ct.nii.gz"]
    record = sidecar["medcyclegan"]
    assert record["fixed"] == "mr.nii.gz"
    assert len(record["fixed_sha256"]) == 64
    matrix = np.array(record["fixed_to_moving_ras"])
    assert error_mm(moved_pair().truth_ras, matrix) < 1.0
    assert record["schema"] == "medcyclegan-alignment 1"
    assert record["figures"]["local_mm"] < record["limits"]["local_mm"]["at most"]
    transform = sitk.ReadTransform(str(inputs / "out.tfm"))
    assert "Euler3DTransform" in (inputs / "out.tfm").read_text()
    x, y, z = transform.TransformPoint((-10.0, -20.0, 30.0))
    assert np.allclose((-x, -y, z), (matrix @ (10.0, 20.0, 30.0, 1.0))[:3], atol=1e-6)
    with Image.open(inputs / "out.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 20.0


def test_the_moved_voxels_are_those_of_the_ct(inputs: Path, done: Aligned) -> None:
    """Bone and air lie where the same head's CT has them on the MR's own grid."""
    from medcyclegan.simulate.phantom.head import make_phantom

    truth = make_phantom(moved_pair().mr.geometry, contrast="t1", seed=1).ct
    moved = read_scan(inputs / "out.nii.gz", modality="CT").volume
    inside = truth.voxels > -400.0
    apart = np.abs(np.clip(moved.voxels, -1000, 1500) - np.clip(truth.voxels, -1000, 1500))
    still = read_scan(inputs / "ct.nii.gz", modality="CT").volume
    before, _ = workflow.resampled(
        still, truth.geometry, sitk.Transform(3, sitk.sitkIdentity), fill=-1024.0
    )
    control = np.abs(np.clip(before.voxels, -1000, 1500) - np.clip(truth.voxels, -1000, 1500))
    assert apart[inside].mean() < 0.35 * control[inside].mean()


def test_another_patient_is_refused_with_10_and_nothing_is_written(
    tmp_path: Path, run: Run
) -> None:
    pair = moved_pair(2, 3)
    mr, ct = save(pair.mr, tmp_path / "mr.nii.gz"), save(pair.ct, tmp_path / "ct.nii.gz")
    before = tree_hash(tmp_path)
    code, out, err = run("align", "--fixed", mr, "--moving", ct, "--out", tmp_path / "o.nii.gz")
    assert code == 10
    assert "does not sit on" in err
    assert "one patient" in err
    assert "parts of the body want to move" in err
    assert out == ""
    assert tree_hash(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"--fixed": "none.nii.gz"}, 3, "cannot be read"),
        ({"--moving": "none.nii.gz"}, 3, "cannot be read"),
        ({"--fixed": "ct.nii.gz", "--moving": "mr.nii.gz"}, 3, "looks like a CT"),
        ({"--moving": "mr2.nii.gz"}, 3, "does not look like a CT in HU"),
        ({"--fixed": "ct.nii.gz"}, 3, "is given as MR and as CT"),
        ({"--fixed": "picture.png"}, 3, "spans"),
        ({"--fixed": "slice.nii.gz"}, 3, "spans"),
        ({"--fixed": "noise.nii.gz"}, 3, "looks like noise"),
        ({"--fixed": "text.nii.gz"}, 3, "text.nii.gz"),
        ({"--moving": "mr_series"}, 3, "CT"),
        ({"--out": "folder"}, 2, "NIfTI, MetaImage or NRRD"),
        ({"--out": "o.png"}, 2, "NIfTI, MetaImage or NRRD"),
        ({"--out": "mr.nii.gz"}, 4, "input"),
        ({"--out": "out.nii.gz"}, 4, "exists already"),
        ({"--out": "no/such/o.nii.gz"}, 4, "parent folder"),
    ],
)
def test_bad_input_is_refused_by_name_before_any_work(
    tmp_path: Path, done: Aligned, run: Run, changes: dict[str, str], code: int, words: str
) -> None:
    for path in done.outputs["image"].parent.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    pair = moved_pair()
    save(pair.mr, tmp_path / "mr2.nii.gz")
    grid = pair.mr.geometry
    rng = np.random.default_rng(0)
    save(pair.mr.with_voxels(rng.normal(500, 100, grid.shape)), tmp_path / "noise.nii.gz")
    thin = type(grid)((*grid.shape[:2], 3), grid.affine_ras)
    save(Volume(pair.mr.voxels[:, :, 30:33], thin, "a.u."), tmp_path / "slice.nii.gz")
    Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(tmp_path / "picture.png")
    (tmp_path / "text.nii.gz").write_text("no NIfTI")
    make_series(tmp_path / "mr_series")
    before = tree_hash(tmp_path)
    given = {"--fixed": "mr.nii.gz", "--moving": "ct.nii.gz", "--out": "o.nii.gz", **changes}
    arguments = [part for name, value in given.items() for part in (name, tmp_path / value)]
    found, _, err = run("align", *arguments)
    assert (found, words in err) == (code, True), err
    assert tree_hash(tmp_path) == before


def test_a_spline_that_sits_worse_than_the_rigid_transform_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CT was moved as a whole: a B-spline follows noise, and leads away from the truth."""
    pair = moved_pair()
    truth = Rigid(pair.truth_ras, (0.1,), 1)
    monkeypatch.setattr(workflow, "register_rigid", lambda level, progress: truth)
    save(pair.mr, tmp_path / "mr.nii.gz")
    save(pair.ct, tmp_path / "ct.nii.gz")
    names = [tmp_path / name for name in ("mr.nii.gz", "ct.nii.gz", "out.nii.gz")]
    made = align_files(AlignRequest(*names, deformable=True), version="0.0.1")
    bent, fit = made.alignment.left_out, made.alignment.fit
    assert bent is not None
    assert bent.local_mm > fit.local_mm
    (said,) = (text for text in made.warnings if "B-spline" in text)
    assert f"{fit.local_mm:.2f} mm, with the B-spline {bent.local_mm:.2f} mm" in said
    record = json.loads(made.outputs["record"].read_text())["medcyclegan"]
    assert record["kind"] == "rigid"
    assert said in record["warnings"]
    assert "folded_share" not in record["figures"]
    transform = sitk.ReadTransform(str(made.outputs["transform"]))
    points = pair.mr.geometry.to_world(np.array([[10.0, 10, 10], [30, 40, 50]]))
    mapped = np.array([transform.TransformPoint((p * (-1, -1, 1)).tolist()) for p in points])
    wanted = (pair.truth_ras @ np.c_[points, [1, 1]].T).T[:, :3] * (-1, -1, 1)
    assert np.allclose(mapped, wanted, atol=1e-3)


def test_another_part_of_the_body_is_refused(tmp_path: Path) -> None:
    belly = abdomen(5.0)
    save(belly, tmp_path / "mr.nii.gz")
    save(moved_pair().ct, tmp_path / "ct.nii.gz")
    request = AlignRequest(tmp_path / "mr.nii.gz", tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz")
    with pytest.raises((NotAligned, InputRefused)):
        align_files(request, version="0.0.1")
    assert not (tmp_path / "out.nii.gz").exists()


def test_folders_of_patients_go_by_name_and_one_failure_stands_alone(tmp_path: Path) -> None:
    patients, out = tmp_path / "patients", tmp_path / "out"
    for case in ("p1", "p2", "p3"):
        save(moved_pair().mr, patients / case / "mr.nii.gz")
    for case in ("p1", "p2", "p4"):
        save(moved_pair().ct, patients / case / "ct.nii.gz")
    assert are_folders_of_patients(patients, patients)
    calls = []

    def one(mr: Path, ct: Path, to: Path) -> Aligned:
        calls.append((mr.parent.name, ct.parent.name, to.name))
        if mr.parent.name == "p1":
            raise NotAligned("p1 does not sit", figures={"local_mm": 4.5})
        to.write_bytes(b"done")
        return Aligned({"image": to}, _Figures({"local_mm": 0.5}), ("said",))

    rows = align_folders(patients, patients, out, one=one)
    assert calls == [("p1", "p1", "p1_ct.nii.gz"), ("p2", "p2", "p2_ct.nii.gz")]
    with (out / "align.csv").open() as file:
        table = {row["case"]: row for row in csv.DictReader(file)}
    assert {case: row["status"] for case, row in table.items()} == {
        "p1": "not aligned", "p2": "aligned", "p3": "unmatched", "p4": "unmatched",
    }  # fmt: skip
    assert table["p1"]["local_mm"] == "4.5"
    assert "does not sit" in table["p1"]["reason"]
    assert len(rows) == 4
    again = align_folders(patients, patients, out, one=one)
    assert {row.case: row.status for row in again}["p2"] == "kept"
    assert len(calls) == 3  # p1 once more, p2 not
    with pytest.raises(InputRefused, match="name them alike"):
        align_folders(patients / "p3", patients / "p4", out, one=one)


@pytest.mark.parametrize(
    ("second", "code"), [(CannotWrite("no space"), 4), (InputRefused("no MR"), 3)]
)
def test_a_folder_of_which_nothing_could_be_written_ends_with_4(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: Exception, code: int
) -> None:
    patients = tmp_path / "patients"
    for case in ("p1", "p2"):
        save(moved_pair().mr, patients / case / "mr.nii.gz")
        save(moved_pair().ct, patients / case / "ct.nii.gz")
    errors = iter([CannotWrite("no space"), second])

    def fails(*_: object, **__: object) -> None:
        raise next(errors)

    monkeypatch.setattr(workflow, "align_files", fails)
    given = ("--fixed", patients, "--moving", patients, "--out", tmp_path / "out")
    assert run("align", *given)[0] == code


class _Figures:
    """An alignment of which the figures alone are asked for."""

    def __init__(self, figures: dict[str, float]) -> None:
        self.figures = lambda: figures


def test_one_dicom_series_is_no_folder_of_patients(tmp_path: Path) -> None:
    make_series(tmp_path / "mr")
    make_series(tmp_path / "ct", modality="CT")
    assert not are_folders_of_patients(tmp_path / "mr", tmp_path / "ct")
