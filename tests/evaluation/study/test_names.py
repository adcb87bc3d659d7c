"""Names of patients and kinds of image, as people and challenges write them."""

from __future__ import annotations

import pytest

from medcyclegan.evaluation.study.names import fitness, patient, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P01_sct.nii.gz", "P01"),
        ("P01.mha", "P01"),
        ("sct_P01.mha", "P01"),
        ("sub-01_ses-02_T1w.nii.gz", "sub-01_ses-02"),
        ("1BA001_synthetic_ct.nrrd", "1BA001"),
        ("P01_body_mask.nii", "P01"),
        ("head 3_ct_dicom", "head 3"),
        ("ct.nii.gz", ""),
        ("mr_t1_dicom", ""),
        ("actin_1.nii.gz", "actin_1"),
        ("CT", ""),
    ],
)
def test_the_patient_is_what_no_word_of_a_kind_of_image_says(name: str, expected: str) -> None:
    assert patient(stem(name)) == expected


@pytest.mark.parametrize(
    ("name", "role", "expected"),
    [
        ("ct", "ref", 2), ("P01_ct", "ref", 2), ("sct", "ref", 0), ("P01_synthetic_ct", "pred", 2),
        ("P01", "ref", 1), ("P01", "pred", 1), ("ct", "pred", 1), ("ct_mask", "mask", 2),
        ("ct_mask", "ref", 0), ("mr_t1", "mr", 2), ("mr", "ref", 0), ("labels", "ref", -1),
        ("cbct", "ref", 0), ("T1w", "pred", 0),
    ],
)  # fmt: skip
def test_how_well_a_name_fits_a_kind(name: str, role, expected: int) -> None:
    assert fitness(name, role) == expected
