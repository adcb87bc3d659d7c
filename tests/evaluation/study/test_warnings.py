"""Every warning of a reader reaches screen, record and report; what is no number is no air."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medcyclegan.evaluation.metrics import score
from medcyclegan.evaluation.study.batch_records import BATCH_RECORD
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.io.read import read_scan
from tests.cli.conversion_inputs import Run
from tests.evaluation.study.cohort import head_mask, make_cohort, request_on

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    make_cohort(tmp_path, (1, 2))
    return tmp_path


def with_nan(path: Path, *, last_slices: int) -> None:
    """Make the last slices of a file NaN."""
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32).copy()
    voxels[:, :, -last_slices:] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)


def without_codes(path: Path) -> None:
    """Let the header not say where the image lies: both codes 0."""
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32)
    made = nibabel.Nifti1Image(voxels, image.affine)
    made.set_sform(image.affine, code=0)
    made.set_qform(image.affine, code=0)
    nibabel.save(made, path)


def study_on(root: Path, **changes: object) -> Study:
    return evaluate_study(request_on(root, **changes), version="1", now=NOW)


def told_everywhere(root: Path, study: Study, *words: str) -> bool:
    """Whether words stand in one sentence of the warnings, of study.json and of the report."""
    about = json.loads((root / "study" / "study.json").read_text(encoding="utf-8"))
    page = (root / "study" / "report.html").read_text(encoding="utf-8")
    return (
        any(all(word in warning for word in words) for warning in study.warnings)
        and any(all(word in warning for word in words) for warning in about["warnings"])
        and all(word in page for word in words)
    )


def test_voxels_of_the_reference_that_are_no_number_are_left_out(cohort: Path) -> None:
    last_slices = 6
    ct = read_scan(cohort / "ct" / "P01_ct.nii.gz", modality="CT").volume
    pred = read_scan(cohort / "poor" / "P01_sct.nii.gz", modality="CT").volume
    kept = head_mask(ct).voxels.copy()
    kept[:, :, -last_slices:] = 0.0
    expected = score(pred, ct, ct.with_voxels(kept, unit="mask"), protocol="synthrad2023")
    with_nan(cohort / "ct" / "P01_ct.nii.gz", last_slices=last_slices)
    study = study_on(cohort)
    (found,) = (r for r in study.results if (r.case, r.method) == ("P01", "poor"))
    assert found.scores == expected
    lost = int(head_mask(ct).voxels.sum() - kept.sum())
    assert lost > 0
    assert told_everywhere(cohort, study, "P01", f"{lost} voxels of the body", "left out")
    # What the reader put in their place counts nowhere, so that it is not told.
    assert not any("replaced" in warning for warning in study.warnings)
    assert found.error_counts.sum() == int(kept.sum())


def test_a_prediction_that_is_no_number_in_the_body_is_refused_and_beside_it_not(
    cohort: Path,
) -> None:
    with_nan(cohort / "poor" / "P01_sct.nii.gz", last_slices=6)
    with_nan(cohort / "poor" / "P02_sct.nii.gz", last_slices=1)  # air
    study = study_on(cohort)
    assert [(r.case, r.method) for r in study.refused] == [("P01", "poor")]
    assert "NaN or infinite in" in study.refused[0].reason
    assert told_everywhere(cohort, study, "P02", "poor", "NaN or infinite and are replaced")


def test_a_prediction_on_another_grid_is_no_exception(cohort: Path) -> None:
    path = cohort / "poor" / "P01_sct.nii.gz"
    with_nan(path, last_slices=6)
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 2.0
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), affine), path)
    assert [(r.case, r.method) for r in study_on(cohort).refused] == [("P01", "poor")]


@pytest.mark.parametrize(
    ("folder", "name", "what"),
    [("ct", "P01_ct", "reference CT"), ("mr", "P01_t1", "MR")],
)  # fmt: skip
def test_what_a_reader_warns_of_is_told_of_every_role(
    cohort: Path, folder: str, name: str, what: str
) -> None:
    without_codes(cohort / folder / f"{name}.nii.gz")
    study = study_on(cohort, mr=cohort / "mr")
    assert told_everywhere(cohort, study, "P01", what, "P01: " + what)
    assert any(what in note for note in study.notes_on("P01"))
    assert not any(what in note for note in study.notes_on("P02"))


@pytest.mark.parametrize("folder", ["poor", "mask"])
def test_what_has_to_be_resampled_and_does_not_say_where_it_lies_is_refused(
    cohort: Path, folder: str
) -> None:
    """Both lie on another grid than the reference, which says where the patient lies."""
    name = {"poor": "P01_sct", "mask": "P01_mask"}[folder]
    without_codes(cohort / folder / f"{name}.nii.gz")
    refused = [r for r in study_on(cohort).refused if r.case == "P01"]
    assert {r.method for r in refused} >= {"poor"}
    assert all("does not say where the patient lies" in r.reason for r in refused)


def test_a_study_without_oddities_has_no_warnings(cohort: Path) -> None:
    """The control; of two patients a test can never be significant, which is always told."""
    warnings = study_on(cohort, mr=cohort / "mr").warnings
    assert ["Wilcoxon" in warning for warning in warnings] == [True]


def test_the_least_p_is_of_the_patients_that_two_methods_share(cohort: Path) -> None:
    """A refused image leaves fewer to a pair of methods than the study has."""
    (said,) = (text for text in study_on(cohort).warnings if "Wilcoxon" in text)
    assert "have 2 patients in common: no Wilcoxon test of them can fall below p = 0.5" in said
    without_codes(cohort / "poor" / "P01_sct.nii.gz")
    (said,) = (text for text in study_on(cohort, overwrite=True).warnings if "Wilcoxon" in text)
    assert "have 1 patient in common: no Wilcoxon test of them can fall below p = 1" in said


def test_the_screen_tells_them(run: Run, cohort: Path) -> None:
    without_codes(cohort / "ct" / "P01_ct.nii.gz")
    arguments = ("--pred", cohort / "good", "--ref", cohort / "ct", "--out", cohort / "out")
    code, _, err = run("evaluate", *arguments)
    assert code == 0
    assert "Warning: P01: reference CT:" in err
    code, out, _ = run("evaluate", *arguments, "--overwrite", "--json")
    assert any("P01: reference CT" in warning for warning in json.loads(out)["warnings"])


def test_what_a_batch_warned_of_is_told_where_its_outputs_are_scored(cohort: Path) -> None:
    row = {
        "output": "P01_sct.nii.gz", "doubts": ["Odd."], "warnings": ["Codes are 0.", "Odd."],
    }  # fmt: skip
    (cohort / "good" / BATCH_RECORD).write_text(json.dumps({"unit": "HU", "rows": [row]}))
    study = study_on(cohort)
    assert told_everywhere(cohort, study, "P01", "good: warned of when it was made: Codes are 0")
    assert study.notes_on("P01").count("good: out-of-distribution: Odd.") == 1
    assert not any("when it was made: Odd" in warning for warning in study.warnings)


def test_an_offset_that_padding_hides_is_told(cohort: Path) -> None:
    path = cohort / "poor" / "P01_sct.nii.gz"
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32) + 1024.0
    voxels[:, :, 0] = -976.0  # what was -2000 outside the circle of reconstruction
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)
    study = study_on(cohort)
    assert told_everywhere(cohort, study, "P01", "poor", "offset")
    assert not any("P02" in warning and "offset" in warning for warning in study.warnings)


def test_copies_for_two_patients_are_told(cohort: Path) -> None:
    shutil.copy(cohort / "poor" / "P01_sct.nii.gz", cohort / "poor" / "P02_sct.nii.gz")
    study = study_on(cohort)
    assert told_everywhere(cohort, study, "P02", "poor", "copy of that of P01")
    assert not any("copy" in warning and "good" in warning for warning in study.warnings)
    shutil.copy(cohort / "ct" / "P01_ct.nii.gz", cohort / "ct" / "P02_ct.nii.gz")
    study = study_on(cohort, out=cohort / "again")
    assert any("reference CT is a copy of that of P01" in said for said in study.warnings)


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = nibabel.load(path)
    voxels = change(image.get_fdata(dtype=np.float32)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)


def test_a_synthetic_ct_that_was_clipped_to_a_window_is_told(cohort: Path) -> None:
    rewrite(cohort / "poor" / "P02_sct.nii.gz", lambda hu: np.clip(hu, -200.0, 200.0))
    study = study_on(cohort)
    assert len(study.results) == 4
    assert told_everywhere(cohort, study, "P02", "poor", "200 HU, its largest value", "clipped")
    assert not any("P01" in said and "clipped" in said for said in study.warnings)


def test_one_hu_for_each_tissue_is_no_window(cohort: Path) -> None:
    rewrite(
        cohort / "poor" / "P02_sct.nii.gz",
        lambda hu: np.select([hu < -400.0, hu < 250.0], [-1000.0, 0.0], 700.0),
    )
    assert not any("clipped" in said for said in study_on(cohort).warnings)


def test_two_images_with_one_offset_are_told_though_they_agree(cohort: Path) -> None:
    for folder in ("ct/P02_ct", "good/P02_sct", "poor/P02_sct"):
        path = cohort / f"{folder}.nii.gz"
        rewrite(path, lambda hu: np.where(hu < -900.0, -1000.0, hu + 1024.0))
    study = study_on(cohort, methods=request_on(cohort).methods[:1])
    assert told_everywhere(cohort, study, "P02", "reference CT", "offset of 1000 or 1024")
    assert not any("P01" in said and "offset" in said for said in study.warnings)


def thin(root: Path, slices: int, *, first: int = 10) -> None:
    """Keep some slices through the middle of every image, as of a thick-slice head."""
    for path in root.rglob("*.nii.gz"):
        image = nibabel.load(path)
        kept = image.get_fdata(dtype=np.float32)[:, :, first : first + slices]
        nibabel.save(nibabel.Nifti1Image(kept, image.affine), path)


def test_a_similarity_that_a_few_slices_do_not_have_is_told_with_the_reason(
    run: Run, tmp_path: Path
) -> None:
    make_cohort(tmp_path, (1,))
    thin(tmp_path, 6)
    given = ("--pred", tmp_path / "good", "--ref", tmp_path / "ct", "--out", tmp_path / "study")
    code, out, err = run("evaluate", *given)
    words = "SSIM is not defined: it needs 7 voxels and more along each axis, slices among them"
    assert code == 0
    assert f"P01: good: {words}, and the reference has 26 x 30 x 6" in err
    assert "SSIM" not in out
    about = json.loads((tmp_path / "study" / "study.json").read_text(encoding="utf-8"))
    assert any(words in note for note in about["notes"]["P01"])
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert words in page
    # Of one patient there is no standard deviation, and no sign that waits for one.
    assert "\N{PLUS-MINUS SIGN} \N{EN DASH}" not in page


def test_with_seven_slices_nothing_is_missing(tmp_path: Path) -> None:
    make_cohort(tmp_path, (1, 2))
    thin(tmp_path, 7)
    study = study_on(tmp_path)
    assert not any("not defined" in said for said in study.warnings)
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "</b> \N{PLUS-MINUS SIGN} " in page


def test_an_overlap_of_bone_where_there_is_none_is_told(tmp_path: Path) -> None:
    make_cohort(tmp_path, (1,))
    for path in (*(tmp_path / "ct").iterdir(), *(tmp_path / "good").iterdir()):
        image = nibabel.load(path)
        hu = np.minimum(image.get_fdata(dtype=np.float32), 200.0)
        nibabel.save(nibabel.Nifti1Image(hu, image.affine), path)
    study = study_on(tmp_path)
    said = " ".join(study.warnings)
    assert "good: Bone Dice is not defined: neither image has bone, above 250 HU" in said
    assert "good: its errors in bone are not defined: the reference has none in the mask" in said
