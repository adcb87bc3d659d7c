"""``medcyclegan batch`` with masks, maps, derived quantities, pictures, and the page over all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from medcyclegan.imaging.hu_curves import schneider_2000
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import Run
from tests.dicom_factory import PATIENT_ID, make_series
from tests.radiographs import write_radiograph
from tests.tiny_model import known, tiny_folder
from tests.tiny_tasks import task_of, write_input
from tests.workflow.batch.trees import small_nifti, small_series

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


def rows_of(out: Path) -> dict[str, dict[str, object]]:
    """The rows of the record by source."""
    rows = json.loads((out / "batch.json").read_text(encoding="utf-8"))["rows"]
    return {row["source"]: row for row in rows}


def counts_of(out: Path) -> dict[str, int]:
    """How many rows there are of each status."""
    return dict(json.loads((out / "batch.json").read_text(encoding="utf-8"))["counts"])


def write_mask(path: Path, like: Path, keep: float) -> Path:
    """A mask of the first share of the body along i."""
    volume = read_scan(like).volume
    inside = (volume.voxels > 0).astype(np.float32)
    inside[int(keep * inside.shape[0]) :] = 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(volume.with_voxels(inside, unit="mask"), source_header=ItkSourceHeader(), to=path)
    return path


def test_each_patient_has_the_mask_of_its_name_and_none_goes_without(
    run: Run, tmp_path: Path, model: Path
) -> None:
    root, masks, out = tmp_path / "in", tmp_path / "masks", tmp_path / "out"
    for patient in ("p1", "p2", "p3"):
        small_nifti(root / patient / "t1.nii.gz")
    write_mask(masks / "p1" / "t1.nii.gz", root / "p1" / "t1.nii.gz", 1.0)
    half = write_mask(masks / "p2" / "t1_mask.nii.gz", root / "p2" / "t1.nii.gz", 0.5)
    arguments = ("batch", root, "--out", out, "--model", model, "--mask", masks)
    code, _, err = run(*arguments)
    assert code == 8
    rows = rows_of(out)
    assert [rows[f"p{n}/t1.nii.gz"]["status"] for n in (1, 2, 3)] == ["done", "done", "refused"]
    assert "no mask of it in p3/" in str(rows["p3/t1.nii.gz"]["reason"])
    assert "no mask of it" in err
    body = [rows[f"p{n}/t1.nii.gz"]["qa"]["body_ml"] for n in (1, 2)]  # type: ignore[index]
    assert body[1] < 0.7 * body[0]
    assert rows["p2/t1.nii.gz"]["mask"] == "t1_mask.nii.gz"
    # another mask makes the output stale, and two are refused
    run(*arguments)
    assert counts_of(out) == {"skipped-up-to-date": 2, "refused": 1}
    write_mask(tmp_path / "new" / "m.nii.gz", root / "p2" / "t1.nii.gz", 0.6).replace(half)
    run(*arguments)
    assert counts_of(out) == {"done": 1, "skipped-up-to-date": 1, "refused": 1}
    write_mask(masks / "p2" / "t1_mask.nii", root / "p2" / "t1.nii.gz", 0.5)
    run(*arguments)
    assert "two masks" in str(rows_of(out)["p2/t1.nii.gz"]["reason"])
    assert run(*arguments[:-1], half)[0] == 2


def test_maps_and_quantities_lie_beside_each_output_and_are_made_where_missing(
    run: Run, tmp_path: Path, model: Path
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p1" / "t1.nii.gz")
    plain = ("batch", root, "--out", out, "--model", model)
    assert run(*plain)[0] == 0
    more = (*plain, "--derive", "density", "--derive", "mu511", "--uncertainty", "--report")
    assert "1 done" in run(*more)[1]
    row = rows_of(out)["p1/t1.nii.gz"]
    assert row["derived"] == ["p1/t1_sct_density.nii.gz", "p1/t1_sct_mu511.nii.gz"]
    assert row["uncertainty"] == "p1/t1_sct_uncertainty.nii.gz"
    made = nibabel.load(out / "p1" / "t1_sct_density.nii.gz")
    hu = np.asarray(nibabel.load(out / "p1" / "t1_sct.nii.gz").dataobj, dtype=np.float64)
    assert np.array_equal(np.asarray(made.dataobj), schneider_2000().at(hu).astype(np.float32))
    assert any("120 kVp is assumed" in str(said) for said in row["warnings"])  # type: ignore[attr-defined]
    assert "1 skipped-up-to-date" in run(*more)[1]
    (out / "p1" / "t1_sct_mu511.nii.gz").unlink()
    assert "1 done" in run(*more)[1]
    assert (out / "p1" / "t1_sct_mu511.nii.gz").is_file()
    assert run(*plain, "--derive", "rsp")[0] == 2
    assert run(*plain, "--derive", "mu511", "--derive", "mu511")[0] == 2
    assert run(*plain, "--untilt")[0] == 2


def test_the_page_over_all_names_warnings_findings_and_refusals_and_its_links_lead_somewhere(
    run: Run, tmp_path: Path
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p 1" / "t1.nii.gz")
    (root / "p2").mkdir()
    (root / "p2" / "<b>t1.nii.gz").write_bytes(b"no image")
    model = tiny_folder(tmp_path / "odd", reference_ranges=known(body_litres=(3.0, 5.0)))
    code, said, _ = run("batch", root, "--out", out, "--model", model, "--report")
    assert code == 8
    assert str(out / "index.html") in said
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<b>t1" not in page
    assert "&lt;b&gt;t1.nii.gz" in page
    assert "not a NIfTI file" in page
    row = rows_of(out)["p 1/t1.nii.gz"]
    assert str(row["doubts"][0]).split(" (")[0][:30] in page  # type: ignore[index]
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert {"p%201/t1_sct_report.html", "p%201/t1_sct.nii.gz"} <= set(links)
    for link in links:
        assert (out / link.replace("%20", " ")).exists(), link
    assert any(link.endswith(".png") for link in links)
    (root / "p2" / "<b>t1.nii.gz").unlink()
    assert run("batch", root, "--out", out, "--model", model, "--report")[0] == 9
    page = (out / "index.html").read_text(encoding="utf-8")  # the thumbnail of the first run
    assert ".png" in page


def test_pictures_and_radiographs_are_batches_too_and_have_a_page_without_reports(
    run: Run, tmp_path: Path
) -> None:
    look = tiny_folder(tmp_path / "look", task=task_of("image-image", depth=1))
    (tmp_path / "in" / "sub").mkdir(parents=True)
    write_input(tmp_path / "in" / "a.png", "image")
    write_input(tmp_path / "in" / "sub" / "b16.png", "image")
    out = tmp_path / "out"
    arguments = ("batch", tmp_path / "in", "--out", out, "--model", look)
    code, said, err = run(*arguments, "--report")
    assert (code, "2 done" in said, "failed" in err) == (0, True, False)
    assert (out / "sub" / "b16_tiny.png").is_file()
    assert (out / "index.html").read_text(encoding="utf-8").count('<img src=".medcyclegan/') == 2
    assert run(*arguments, "--task", "pictures", "--dry-run")[0] == 0
    code, _, err = run(*arguments, "--derive", "mu511")
    assert (code, "--derive" in err) == (2, True)
    assert run("batch", tmp_path / "in", "--out", out, "--task", "pictures")[0] == 2
    rays = tiny_folder(tmp_path / "rays", task=task_of("xr-xr", depth=1))
    (tmp_path / "xr").mkdir()
    write_radiograph(tmp_path / "xr" / "p1")
    code, said, _ = run("batch", tmp_path / "xr", "--out", tmp_path / "o2", "--model", rays)
    assert (code, "1 done" in said) == (0, True)


def test_deidentified_outputs_tell_nothing_of_patients_and_other_formats_are_refused(
    run: Run, tmp_path: Path, model: Path
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p1" / "t1.nii.gz")
    small_series(root / "p2" / "SE1")
    arguments = ("batch", root, "--out", out, "--model", model, "--deidentify", "--derive", "mu511")
    assert run(*arguments)[0] == 8
    rows = rows_of(out)
    assert "--deidentify is for DICOM output" in str(rows["p1/t1.nii.gz"]["reason"])
    assert rows["p2/SE1"]["status"] == "done"
    for folder in ("SE1_sct", "SE1_sct_mu511"):
        ds = dcmread(next((out / "p2" / folder).iterdir()), stop_before_pixels=True)
        assert str(ds.PatientID).startswith("ANON-")
        assert ds.PatientIdentityRemoved == "YES"
        assert ds.ContentDate == "19000101"
    assert run(*arguments, "--format", "nifti")[0] == 2


def test_a_series_without_a_study_is_refused_by_the_dry_run_as_by_the_run(
    run: Run, tmp_path: Path, model: Path
) -> None:
    def without(ds: Dataset, k: int) -> None:
        del ds.StudyInstanceUID

    make_series(tmp_path / "in" / "p1", shape=(8, 8, 12), changes=without)
    arguments = ("batch", tmp_path / "in", "--out", tmp_path / "out", "--model", model)
    said = json.loads(run(*arguments, "--dry-run", "--json")[1])
    assert said["counts"] == {"refused": 1}
    assert "no StudyInstanceUID" in said["rows"][0]["reason"]
    assert PATIENT_ID not in json.dumps(said)
    said = json.loads(run(*arguments, "--dry-run", "--json", "--format", "nifti")[1])
    assert said["counts"] == {"waiting": 1}  # NIfTI needs no study
