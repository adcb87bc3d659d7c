"""Names of patients and kinds of image, as people and challenges write them."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePath

import pytest

from medcyclegan.evaluation.study.patient import read_groups
from medcyclegan.evaluation.study.plan import find_images
from medcyclegan.io.case_names import case_names, fitness, kind_of, patient, stem


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


@pytest.mark.parametrize(
    ("paths", "cases"),
    [
        (["p01/mr.nii.gz", "p01_sct.nii.gz"], ["p01", "p01"]),
        (["a/p01.nii", "b/p01.nii"], ["a/p01", "b/p01"]),
        (["a/p01/ct.nii", "b/p01/ct.nii"], ["a/p01", "b/p01"]),
        (["mr/p01.nii", "p02.nii"], ["p01", "p02"]),
        (["mr/p01.nii", "ct/p01.nii"], ["p01", "p01"]),
        (["mr/x/p01.nii", "ct/x/p01.nii", "ct/y/p01.nii"], ["x/p01", "x/p01", "y/p01"]),
        (["p\udcf6_ct.nii"], ["p\\xf6"]),
        (["p01_fat.nii", "p01_water.nii"], ["p01", "p01"]),
        (["Bjo\u0308rn_ct.nii"], ["Bj\u00f6rn"]),
    ],
)
def test_the_case_of_an_image_is_told_by_its_path(paths: list[str], cases: list[str]) -> None:
    assert case_names([PurePath(path) for path in paths], kinds=("fat", "water")) == cases


def test_a_word_that_is_not_said_to_tell_a_kind_stays() -> None:
    assert case_names([PurePath("p01_fat.nii")]) == ["p01_fat"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("p01/mr.nii.gz", "mr"), ("p01_t1w.nii", "mr"), ("ct/p01.nii", "ref"),
        ("sct/ct.nii", "ref"),
        ("a/masks/x_mask.nii", "mask"), ("mask/p01.nii", "mask"), ("ct/p01_seg.nii", "other"),
        ("labels/p01.nii", "other"), ("a/p01.nii", None), ("p01_sct.nii", "pred"),
    ],
)  # fmt: skip
def test_the_kind_of_an_image_is_told_by_its_name_and_else_by_its_folder(path: str, kind) -> None:
    assert kind_of(PurePath(path)) == kind


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
