"""One input on disk into one output: names, grids, refusals before anything is written."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Domain, Window
from medcyclegan.errors import CannotWrite, InputRefused
from medcyclegan.io.read import read_scan
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.convert import Request, convert, derivation_of
from medcyclegan.workflow.synthesize import Options
from tests.cli.conversion_inputs import NOW, head_mr, oblique, provenance, tree_hash, write_mr
from tests.tiny_model import head_on, identity_model, tiny_folder

CPU = Options(device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("head.nii.gz", "head_sct.nii.gz"),
        ("head.nii", "head_sct.nii"),
        ("head.mha", "head_sct.mha"),
        ("head.nrrd", "head_sct.nrrd"),
        ("series 1.2", "series 1.2_sct"),
    ],
)
def test_every_format_into_its_like_beside_it(model: Model, tmp_path: Path, name: str,
                                              output: str) -> None:  # fmt: skip
    source = write_mr(tmp_path / name)
    before = tree_hash(tmp_path)
    done = convert(Request(source), model, provenance=provenance(), options=CPU)
    after = tree_hash(tmp_path)
    assert done.output == tmp_path / output
    assert {key: after[key] for key in before} == before
    new = {key.split("/")[0] for key in after.keys() - before.keys()}
    stem = output.removesuffix(".gz").removesuffix(".nii")
    assert new == {output} | ({f"{stem}.json"} if stem != output else set())
    sct, mr = read_scan(done.output), read_scan(source)
    np.testing.assert_allclose(
        sct.volume.geometry.affine_ras, mr.volume.geometry.affine_ras, atol=1e-5
    )
    assert sct.volume.geometry.shape == oblique().shape
    assert np.abs(sct.volume.voxels - done.synthesis.image.voxels).max() <= 1.0
    assert -1000.0 <= sct.volume.voxels.min() < sct.volume.voxels.max() <= 2000.0
    assert {"read", "prepare", "network", "home", "write"} <= done.seconds.keys()


def test_one_file_of_a_series_stands_for_the_series(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "series")
    one = sorted(source.glob("*.dcm"))[3]
    done = convert(Request(one), model, provenance=provenance(), options=CPU)
    assert done.output == tmp_path / "series_sct"
    sct = read_scan(done.output)
    assert sct.modality == "CT"
    assert sct.volume.unit == "HU"
    assert sct.volume.geometry.shape == oblique().shape


def test_nifti_from_a_series_and_a_report(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "series")
    request = Request(source, format="nifti", report=True)
    done = convert(request, model, provenance=provenance(), options=CPU)
    assert done.output == tmp_path / "series_sct.nii.gz"
    assert done.report == tmp_path / "series_sct_report.html"
    page = done.report.read_text(encoding="utf-8")
    assert "tiny" in page
    assert "DICOM series" in page
    assert model.card.weights_sha256[:12] in page
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "series", "series_sct.json", "series_sct.nii.gz", "series_sct_report.html"
    ]  # fmt: skip


def test_an_existing_output_stays_unless_it_may_be_replaced(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    out = tmp_path / "head_sct.nii.gz"
    out.write_bytes(b"precious")
    before = tree_hash(tmp_path)
    with pytest.raises(CannotWrite, match="exists already"):
        convert(Request(source), model, provenance=provenance(), options=CPU)
    assert tree_hash(tmp_path) == before
    convert(Request(source, overwrite=True), model, provenance=provenance(), options=CPU)
    assert read_scan(out).volume.geometry.shape == oblique().shape


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_output_is_never_the_input(model: Model, tmp_path: Path, overwrite: bool) -> None:
    nifti, series = write_mr(tmp_path / "head.nii.gz"), write_mr(tmp_path / "series")
    before = tree_hash(tmp_path)
    for source, out in ((nifti, nifti), (series, series), (series, series / "in")):
        request = Request(source, out=out, overwrite=overwrite)
        with pytest.raises(CannotWrite, match="input"):
            convert(request, model, provenance=provenance(), options=CPU)
    assert tree_hash(tmp_path) == before


def test_a_damaged_input_leaves_nothing_behind(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    source.write_bytes(source.read_bytes()[:3000])
    before = tree_hash(tmp_path)
    with pytest.raises(InputRefused):
        convert(Request(source), model, provenance=provenance(), options=CPU)
    assert tree_hash(tmp_path) == before


def test_the_derivation_names_model_version_and_time(model: Model) -> None:
    derivation = derivation_of(model, provenance())
    assert derivation.model_name == "tiny"
    assert derivation.model_sha256 == model.card.weights_sha256
    assert (derivation.software_version, derivation.now) == ("0.0.1", NOW)
    assert derivation.new_uid() != derivation.new_uid()


def test_runs_are_repeatable(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    hashes = []
    for name in ("a.nii.gz", "b.nii.gz"):
        done = convert(
            Request(source, tmp_path / name), model, provenance=provenance(), options=CPU
        )
        hashes.append(read_scan(done.output).volume.voxels.tobytes())
    assert hashes[0] == hashes[1]
    assert np.array_equal(read_scan(source).volume.voxels, head_mr().voxels)


def test_what_is_left_out_of_the_headers_is_said_once(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_mr(tmp_path / "series")
    for path in source.glob("*.dcm"):
        ds = dcmread(path)
        with disable_value_validation():
            ds.PatientAge = "0Y"
            ds.save_as(path)
    done = convert(Request(source), model, provenance=provenance(), options=CPU)
    said = [record.getMessage() for record in caplog.records]
    assert said.count("PatientAge of the source is not valid for DICOM: left out") == 1
    assert all("PatientAge" not in dcmread(path) for path in done.output.glob("*.dcm"))


@pytest.mark.parametrize("out", ["made.nii.gz", "made.nrrd", "made"])
def test_what_is_told_of_the_image_is_what_the_file_holds(tmp_path: Path, out: str) -> None:
    """A CT with metal beyond 3071 HU through a network that gives back what it gets."""
    source = Domain(modality="CT", unit="HU", scaling=Window(lower=-1024.0, upper=9000.0))
    model = identity_model(source=source, target=source)
    mr, _ = head_on(geometry_from_spacing((20, 20, 20), (8.0, 8.0, 8.0)))
    hu = np.where(mr.voxels > 0, mr.voxels / 10.0, -1000.0).astype(np.float32)
    hu[9:11, 9:11, 9:11] = 8000.0
    path = tmp_path / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, mr.geometry.affine_ras), path)
    format_ = "dicom" if out == "made" else None
    request = Request(source=path, out=tmp_path / out, format=format_)
    done = convert(request, model, provenance=provenance(), options=Options(device="cpu"))
    held = read_scan(tmp_path / out, modality="CT").volume.voxels
    assert (float(held.max()), float(held.min())) == (3071.0, float(done.written.voxels.min()))
    assert float(done.written.voxels.max()) == 3071.0
    assert done.synthesis.image.voxels.max() == 3071.0
    (warning,) = (w for w in done.synthesis.warnings if "beyond" in w)
    assert "stored as its ends" in warning
