"""``medcyclegan synth-ct``: exit codes, what it prints, and that the input is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom import dcmread

from medcyclegan.errors import InputRefused
from medcyclegan.imaging.hu_curves import carney_2006
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.io.write import write_scan
from tests.cli.conversion_inputs import Run, tree_hash, write_mr
from tests.dicom_derived import dciodvfy_errors
from tests.dicom_factory import make_series
from tests.tiny_model import head_on, tiny_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Path]:
    """A NIfTI file, alone in its folder; whatever is done, it must stay as it was."""
    path = write_mr(tmp_path / "head.nii.gz")
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_it_says_what_it_made(run: Run, head: Path, model: Path) -> None:
    code, out, err = run("synth-ct", "--mri", head, "--model", model, "--device", "cpu")
    assert (code, err) == (0, "")
    made = head.with_name("head_sct.nii.gz")
    assert made.is_file()
    for part in (str(made), "34 x 36 x 28 voxels of 4 x 4 x 5 mm", "HU", "tiny", "Research use"):
        assert part in out


def test_quantities_are_derived_in_one_go_and_what_cannot_be_is_told(
    run: Run, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(ct: object) -> None:
        raise InputRefused("No skull is found: fresh weights make none")

    monkeypatch.setattr("medcyclegan.workflow.quantities.find_skull", none)
    series = write_mr(tmp_path / "mr")
    given = ("--model", model, "--device", "cpu", "--derive", "mu511", "--derive", "skull")
    code, out, err = run("synth-ct", "--mri", series, *given)
    assert code == 0
    assert str(tmp_path / "mr_sct_mu511") in out
    assert "skull was not derived: No skull is found" in err
    assert not list(tmp_path.glob("*skull*"))
    assert dciodvfy_errors(tmp_path / "mr_sct_mu511") == []
    ds = dcmread(next((tmp_path / "mr_sct_mu511").iterdir()))
    made = [dcmread(path) for path in (tmp_path / "mr_sct").iterdir()]
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == made[0].SeriesInstanceUID
    assert (ds.SyntheticData, ds.StudyInstanceUID) == ("YES", made[0].StudyInstanceUID)
    assert "a synthetic CT" in ds.DerivationDescription
    by_uid = {one.SOPInstanceUID: one for one in made}
    for frame, groups in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        hu = by_uid[image.ReferencedSOPInstanceUID]
        stored = hu.pixel_array * float(hu.RescaleSlope) + float(hu.RescaleIntercept)
        assert np.array_equal(frame, carney_2006(120).at(stored).astype(np.float32))
    before = tree_hash(tmp_path)
    assert run("synth-ct", "--mri", series, *given, "--derive", "no-such")[0] == 2
    assert (
        run("synth-ct", "--mri", series, *given, "--out", tmp_path / "b", "--derive", "rsp")[0] == 2
    )
    assert tree_hash(tmp_path) == before


def test_json_is_all_of_stdout_and_has_the_keys(run: Run, head: Path, model: Path) -> None:
    out_path = head.with_name("x.nii.gz")
    code, out, err = run(
        "synth-ct", "--mri", head, "--out", out_path, "--model", model, "--views", "3",
        "--report", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts.keys() == {
        "output", "report", "uncertainty", "derived", "shape", "spacing_mm", "hu_min", "hu_max",
        "seconds", "conversion_seconds",
        "seconds_by_step", "model", "model_sha256", "warnings", "doubts", "signs", "signs_note",
        "note",
    }  # fmt: skip
    assert facts["output"] == str(out_path)
    assert facts["report"] == str(head.with_name("x_report.html"))
    assert Path(facts["report"]).is_file()
    assert facts["shape"] == [34, 36, 28]
    assert facts["spacing_mm"] == [4.0, 4.0, 5.0]
    assert -1000 <= facts["hu_min"] < facts["hu_max"] <= 2000
    assert facts["seconds"] >= sum(facts["seconds_by_step"].values()) * 0.9 - 0.1


def test_quiet_prints_nothing_and_verbose_more(run: Run, head: Path, model: Path) -> None:
    assert run("synth-ct", "--mri", head, "--model", model, "--quiet") == (0, "", "")
    again = ("synth-ct", "--mri", head, "--model", model, "--overwrite")
    _, usual, _ = run(*again)
    _, verbose, _ = run(*again, "-v", "--debug")
    assert "network" in verbose
    assert "network" not in usual


@pytest.mark.parametrize("name", ["series", "head.mha", "head.nii"])
def test_other_formats(run: Run, model: Path, tmp_path: Path, name: str) -> None:
    source = write_mr(tmp_path / name)
    before = tree_hash(tmp_path)
    code, out, _ = run("synth-ct", "--mri", source, "--model", model)
    assert code == 0
    after = tree_hash(tmp_path)
    assert {key: after[key] for key in before} == before
    ending = {"series": "", "head.mha": ".mha", "head.nii": ".nii"}[name]
    made = tmp_path / f"{name.split('.', maxsplit=1)[0]}_sct{ending}"
    assert str(made) in out
    assert read_scan(made).volume.geometry.shape == (34, 36, 28)


def test_a_mask_and_bias_correction(run: Run, head: Path, model: Path, tmp_path: Path) -> None:
    _, mask = head_on(read_scan(head).volume.geometry, radius_mm=20.0)
    write_nifti(mask, source_header=ItkSourceHeader(), to=tmp_path / "mask.nii.gz")
    with_mask = ("--mask", tmp_path / "mask.nii.gz", "--bias-correction")
    for name, extra in (("a.nii.gz", with_mask), ("b.nii.gz", ())):
        arguments = ("synth-ct", "--mri", head, "--model", model, "--out", tmp_path / name)
        assert run(*arguments, *extra)[0] == 0
    small, whole = (read_scan(tmp_path / n).volume.voxels for n in ("a.nii.gz", "b.nii.gz"))
    assert np.count_nonzero(small > -1000) < 0.7 * np.count_nonzero(whole > -1000)


def refused(run: Run, folder: Path, *arguments: object) -> tuple[int, str]:
    """Run, and see that nothing was written and that one line was said, on stderr alone."""
    before = tree_hash(folder)
    code, out, err = run("synth-ct", *arguments)
    assert tree_hash(folder) == before
    assert out == ""
    said = err.strip("\n")  # click breaks the line when it is interrupted
    assert said.startswith("Error: ")
    assert "\n" not in said
    return code, said


def test_refusals_have_their_exit_codes(run: Run, head: Path, model: Path, tmp_path: Path) -> None:
    given = ("--model", model)
    code, err = refused(run, tmp_path, "--mri", tmp_path / "none.nii.gz", *given)
    assert (code, "none.nii.gz" in err) == (3, True)
    (tmp_path / "text.nii.gz").write_text("no image")
    assert refused(run, tmp_path, "--mri", tmp_path / "text.nii.gz", *given)[0] == 3
    assert refused(run, tmp_path, "--mri", head, "--mask", tmp_path / "none", *given)[0] == 3
    assert refused(run, tmp_path, "--mri", head, "--out", head, *given)[0] == 4
    assert refused(run, tmp_path, "--mri", head, "--out", tmp_path / "no" / "x.nii", *given)[0] == 4
    assert refused(run, tmp_path, "--mri", head, "--model", tmp_path)[0] == 5
    assert refused(run, tmp_path, "--mri", head, "--model", "no-such-model")[0] == 5
    assert refused(run, tmp_path, "--mri", head, "--out", tmp_path / "x", *given)[0] == 2
    (tmp_path / "head_sct.nii.gz").write_bytes(b"precious")
    code, err = refused(run, tmp_path, "--mri", head, *given)
    assert (code, "--overwrite" in err) == (4, True)


def test_a_path_whose_folder_is_missing_is_a_refused_input(run: Run, model: Path) -> None:
    code, _, err = run("synth-ct", "--mri", "no_such_folder/head.nii.gz", "--model", model)
    assert (code, "head.nii.gz" in err) == (3, True)


def test_a_ct_given_as_mr_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    make_series(tmp_path / "ct", modality="CT")
    code, err = refused(run, tmp_path, "--mri", tmp_path / "ct", "--model", model)
    assert code == 3
    assert "CT" in err
    assert "Secret" not in err
    assert "4711" not in err


def test_a_device_that_is_not_there(run: Run, head: Path, model: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("cuda is there")
    given = ("--mri", head, "--model", model, "--device", "cuda")
    assert refused(run, tmp_path, *given)[0] == 6


@pytest.mark.parametrize(
    "arguments",
    [(), ("--mri",), ("--mri", "a.nii", "--views", "2"), ("--mri", "a.nii", "--format", "png"),
     ("--mri", "a.nii", "--no-such-option")],
)  # fmt: skip
def test_usage(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run("synth-ct", *arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_fault_of_ours_is_one_line_and_interruption_130(
    run: Run, head: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {1: ZeroDivisionError("patient 4711"), 6: MemoryError(), 130: KeyboardInterrupt()}
    for expected, error in faults.items():

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("medcyclegan.workflow.convert.synthesize", fail)
        code, err = refused(run, tmp_path, "--mri", head, "--model", model)
        assert code == expected
        assert "4711" not in err


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".nrrd"])
def test_a_mask_that_marks_all_is_taken(
    run: Run, head: Path, model: Path, tmp_path: Path, ending: str
) -> None:
    mr = read_scan(head).volume
    ones = mr.with_voxels(np.ones_like(mr.voxels), unit="mask")
    path = tmp_path / f"mask{ending}"
    write_scan(ones, source_header=ItkSourceHeader(), to=path)
    options = ("--mri", head, "--model", model, "--out", tmp_path / "out.nii.gz", "--mask", path)
    assert run("synth-ct", *options)[0] == 0
    # The control: an image of one value is none.
    with pytest.raises(InputRefused, match="every voxel has the value 1"):
        read_scan(path)
