"""Patients that a batch set apart are named in a study of its outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medcyclegan.evaluation.study.batch_records import (
    BATCH_RECORD,
    out_of_distribution_warning,
    records_of,
)
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.io.case_names import fitness
from medcyclegan.workflow.batch.table import JSON_NAME

WHY = "The body in view has 14 litres; the model's reference range is 2 to 7."


def study_of(root: Path, record: object) -> tuple[list[Patient], StudyRequest]:
    """Two patients of one method, whose folder holds what a batch left."""
    text = record if isinstance(record, str) else json.dumps(record)
    (root / BATCH_RECORD).write_text(text, encoding="utf-8")
    images = {case: root / case / "t1_sct.nii.gz" for case in ("p1", "p2")}
    patients = [Patient(case, Path("ct"), {"ours": path}) for case, path in images.items()]
    return patients, StudyRequest(
        (Method("ours", root),), ref=root, out=root / "out", protocol="synthrad2023"
    )


def test_such_a_patient_has_a_note_and_the_study_a_warning(
    tmp_path: Path,
) -> None:
    rows = [
        {"output": "p1/t1_sct.nii.gz", "doubts": [WHY]},
        {"output": "p2/t1_sct.nii.gz", "doubts": []},
    ]
    patients, request = study_of(tmp_path, {"rows": rows})
    outside = records_of(request).out_of_distribution_of(patients)
    assert outside == {"p1": (f"ours: out-of-distribution: {WHY}",)}
    (said,) = out_of_distribution_warning(outside, {"p1", "p2"})
    assert said.startswith("1 of 2 patients is out-of-distribution")
    assert "p1." in said
    assert out_of_distribution_warning(outside, {"p2"}) == ()


@pytest.mark.parametrize("record", ["no json", [], {"rows": [1]}, {"rows": [{"doubts": ["x"]}]}])
def test_a_damaged_record_tells_of_nothing(tmp_path: Path, record: object) -> None:
    patients, request = study_of(tmp_path, record)
    assert records_of(request).out_of_distribution_of(patients) == {}


def test_the_record_is_the_one_that_a_batch_writes() -> None:
    assert BATCH_RECORD == JSON_NAME


def test_a_map_of_uncertainty_is_no_image_of_a_patient() -> None:
    assert fitness("p1_sct_uncertainty", "pred") == -1
    assert fitness("p1_sct", "pred") == 2
