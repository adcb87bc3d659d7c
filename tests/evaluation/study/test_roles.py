"""One file, one role: nothing is scored against itself, and what is missing is named."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.plan import Method, StudyRequest, find_images, make_plan
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.evaluation.study.tables import Study
from tests.evaluation.study.cohort import head_ct, head_mask, save, with_error

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds, and no test here looks at the files."""
    monkeypatch.setattr("medcyclegan.evaluation.study.run.write_study", lambda study: None)


def patient_folder(root: Path, case: int, *, kinds: str = "mr ct sct mask") -> Path:
    """A folder of a patient with the images named by kind, as in ``data/P01/sct.nii.gz``."""
    ct, folder = head_ct(case), root / f"P{case:02d}"
    images = {
        "ct": ct,
        "sct": with_error(ct, bias_hu=5.0, noise_hu=40.0, seed=case),
        "mr": ct.with_voxels(np.maximum(ct.voxels + 1000.0, 0.0), unit="a.u."),
        "mask": head_mask(ct),
    }
    for kind in kinds.split():
        save(images[kind], folder / f"{kind}.nii.gz")
    return folder


def study_of(root: Path, pred: Path | None = None, **more: Path) -> Study:
    methods = (Method("x", pred or root),)
    request = StudyRequest(methods, root, root.parent / "study", "synthrad2023", **more)  # type: ignore[arg-type]
    return evaluate_study(request, version="1", now=NOW)


def test_a_missing_prediction_is_unmatched_and_not_the_reference(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for case in (1, 2):
        patient_folder(root, case)
    patient_folder(root, 3, kinds="mr ct")
    study = study_of(root, mr=root)
    assert {r.case for r in study.results} == {"P01", "P02"}
    assert [(r.case, r.reason) for r in study.unmatched] == [("P03", "no prediction of this name")]
    (mae,) = (s for s in study.summaries if s.metric.column == "mae_hu")
    assert (mae.n, mae.mean > 30.0) == (2, True)


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [("mr sct mask", "no reference of"), ("mr ct sct", "no mask"), ("mr mask", "")],
)
def test_no_other_kind_stands_in_for_a_missing_reference_or_mask(
    tmp_path: Path, kinds: str, reason: str
) -> None:
    root = tmp_path / "data"
    patient_folder(root, 1)
    patient_folder(root, 2, kinds=kinds)
    study = study_of(root, mask=root, mr=root)
    assert [r.case for r in study.results] == ["P01"]
    assert [r.reason[: len(reason)] for r in study.unmatched] == [reason] * bool(reason)


def test_a_missing_mr_is_not_shown_as_the_ct(tmp_path: Path) -> None:
    patient_folder(tmp_path, 1)
    patient_folder(tmp_path, 2, kinds="ct sct mask")
    assert set(find_images(tmp_path, role="mr").by_case) == {"P01"}


def test_names_that_tell_no_kind_are_taken_still(tmp_path: Path) -> None:
    """The control: a folder whose names say nothing, or of one method as the CTs are named."""
    for name in ("P01_sct.nii.gz", "P02.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    assert set(find_images(tmp_path, role="pred").by_case) == {"P01", "P02"}
    (tmp_path / "P01_sct.nii.gz").rename(tmp_path / "P01_ct.nii.gz")
    assert set(find_images(tmp_path, role="pred").by_case) == {"P01", "P02"}


def test_a_file_serves_one_role(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for case in (1, 2):
        patient_folder(root, case, kinds="mr ct")
    with pytest.raises(InputRefused, match=r"ct.nii.gz is the reference CT of P01"):
        study_of(root)
    # By a link of either kind, and for another patient too.
    preds = tmp_path / "preds"
    preds.mkdir()
    (preds / "P01_sct.nii.gz").symlink_to(root / "P01" / "ct.nii.gz")
    (preds / "P02_sct.nii.gz").hardlink_to(root / "P01" / "ct.nii.gz")
    with pytest.raises(InputRefused, match="is the reference CT of P01"):
        study_of(root, preds)
    (preds / "P02_sct.nii.gz").unlink()
    save(with_error(head_ct(2), bias_hu=5.0, noise_hu=9.0, seed=2), preds / "P02_sct.nii.gz")
    study = study_of(root, preds)
    assert [r.case for r in study.results] == ["P02"]
    assert [(r.case, "is the reference CT of P01" in r.reason) for r in study.unmatched] == [
        ("P01", True)
    ]


def test_one_file_is_of_one_method_and_one_patient(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for case in (1, 2):
        patient_folder(root, case, kinds="ct sct")
    (tmp_path / "twice" / "P02").mkdir(parents=True)
    shutil.copytree(root / "P01", tmp_path / "twice" / "P01")
    (tmp_path / "twice" / "P02" / "ct.nii.gz").symlink_to(root / "P02" / "ct.nii.gz")
    (tmp_path / "twice" / "P02" / "sct.nii.gz").symlink_to(
        tmp_path / "twice" / "P01" / "sct.nii.gz"
    )
    methods = (Method("a", root), Method("b", root))
    request = StudyRequest(methods, root, tmp_path / "study", "synthrad2023")
    plan = make_plan(request)
    assert [(p.case, list(p.preds)) for p in plan.patients] == [("P01", ["a"]), ("P02", ["a"])]
    assert {r.method for r in plan.refusals} == {"b"}
    plan = make_plan(
        StudyRequest((Method("a", tmp_path / "twice"),), root, tmp_path, "synthrad2023")
    )
    assert [p.case for p in plan.patients] == ["P01"]


def test_a_copy_of_the_reference_is_refused_and_a_perfect_score_said(tmp_path: Path) -> None:
    root, preds = tmp_path / "data", tmp_path / "preds"
    for case in (1, 2):
        patient_folder(root, case, kinds="ct")
    preds.mkdir()
    shutil.copy(root / "P01" / "ct.nii.gz", preds / "P01_sct.nii.gz")
    save(head_ct(2), preds / "P02_sct.nii")
    study = study_of(root, preds)
    assert [(r.case, "byte by byte" in r.reason) for r in study.refused] == [("P01", True)]
    assert [r.case for r in study.results] == ["P02"]
    assert any("a perfect score" in warning and "P02" in warning for warning in study.warnings)


def test_methods_of_equal_scores_are_named(tmp_path: Path) -> None:
    root, other = tmp_path / "data", tmp_path / "other"
    patient_folder(root, 1, kinds="ct sct")
    shutil.copytree(root, other)
    methods = (Method("a", root), Method("b", other))
    request = StudyRequest(methods, root, tmp_path / "study", "synthrad2023")
    study = evaluate_study(request, version="1", now=NOW)
    assert any("a and b have the same scores" in warning for warning in study.warnings)


def test_an_image_for_a_mask_is_refused(tmp_path: Path) -> None:
    root, masks = tmp_path / "data", tmp_path / "masks"
    patient_folder(root, 1, kinds="ct sct")
    mr = patient_folder(tmp_path / "other", 1, kinds="mr") / "mr.nii.gz"
    masks.mkdir()
    mr.rename(masks / "P01.nii.gz")
    with pytest.raises(InputRefused, match="as an image has"):
        study_of(root, mask=masks)
