"""Names of patients and kinds of image, as people and challenges write them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from medcyclegan.evaluation.study.find import find_images
from medcyclegan.evaluation.study.groups import read_groups
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


def test_letters_that_macos_takes_apart_are_the_same(tmp_path: Path) -> None:
    name = "Müller_é"
    parted = unicodedata.normalize("NFD", name)
    assert parted != name
    assert patient(stem(f"{parted}_sct.nii.gz")) == patient(stem(f"{name}_ct.nii.gz")) == name
    for folder, spelled in (("pred", parted), ("ref", name)):
        (tmp_path / folder / spelled).mkdir(parents=True)
        (tmp_path / folder / spelled / "ct.nii.gz").touch()
        (tmp_path / folder / f"{spelled}2.nii.gz").touch()
    found = [find_images(tmp_path / part, role="ref").by_case for part in ("pred", "ref")]
    assert found[0].keys() == found[1].keys() == {name, f"{name}2"}
    table = tmp_path / "groups.csv"
    table.write_text(f"case,group\n{parted},a\n", encoding="utf-8")
    assert read_groups(table) == {name: "a"}
