"""Images and true images of a patient find each other by their names."""

from __future__ import annotations

import pytest

from medcyclegan.workflow.reference_images import case_of


@pytest.mark.parametrize(
    ("image", "truth"),
    [("p01_t1", "p01_ct"), ("p01/mr", "p01/ct"), ("p01", "p01"), ("ward/p01_mr", "ward/ct_p01"),
     ("sub-01/anat/sub-01_T1w", "sub-01/anat/sub-01_ct")],
)  # fmt: skip
def test_names_of_one_patient_are_the_same_case(image: str, truth: str) -> None:
    assert case_of(image) == case_of(truth)


@pytest.mark.parametrize(
    ("image", "other"),
    [("p01_t1", "p02_ct"), ("p01/mr", "p02/ct"), ("a/p01", "b/p01"), ("mr", "ct")],
)
def test_names_of_two_patients_are_not(image: str, other: str) -> None:
    assert case_of(image) != case_of(other)
