"""Which images are one visit of one patient, and what headers without UIDs and names become."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from tests.dicom_factory import make_series
from tests.workflow.batch.test_finding import chosen, look, touch


def test_files_without_a_series_uid_are_one_refused_row_that_says_so(tmp_path: Path) -> None:
    def nameless(ds: Dataset, k: int) -> None:
        del ds.SeriesInstanceUID

    make_series(tmp_path / "a" / "s", shape=(8, 8, 12), changes=nameless)
    make_series(tmp_path / "b" / "s2", shape=(8, 8, 12))  # the control
    make_series(tmp_path / "c" / "ct", shape=(8, 8, 12), modality="CT", changes=nameless)
    taken, reasons = chosen(tmp_path, "all")
    assert taken == {"b/s2"}
    assert set(reasons) == {"a/s", "c/ct"}
    assert "12 files without SeriesInstanceUID" in reasons["a/s"]
    assert "CT; MR is asked for" in reasons["c/ct"]
    refused = [c for c in look(tmp_path).candidates if c.refused]
    assert [c.source.as_posix() for c in refused] == ["a/s", "c/ct"]


@pytest.mark.parametrize("number", ["", "ANON", "ANONYMOUS", "0000"])
@pytest.mark.parametrize("frames", ["shared", "own"])
def test_no_patient_without_a_name_is_lost_for_another_of_the_same_study_uid(
    tmp_path: Path, number: str, frames: str
) -> None:
    def nobody(ds: Dataset, k: int) -> None:
        ds.PatientID, ds.PatientName, ds.PatientBirthDate = number, "", ""
        ds.SeriesDescription = "t1_mprage"

    def other_frame(ds: Dataset, k: int) -> None:
        nobody(ds, k)
        ds.FrameOfReferenceUID = "2.25.99" if frames == "own" else ds.FrameOfReferenceUID

    make_series(tmp_path / "p1" / "a", shape=(8, 8, 12), changes=nobody)
    make_series(tmp_path / "p2" / "b", shape=(8, 8, 12), changes=other_frame)
    assert chosen(tmp_path)[0] == {"p1/a", "p2/b"}


def test_two_series_of_a_named_patient_are_one_visit_and_other_details_are_another(
    tmp_path: Path,
) -> None:
    def described(ds: Dataset, k: int) -> None:
        ds.SeriesDescription = "t1_mprage"

    make_series(tmp_path / "in" / "x" / "a", shape=(8, 8, 12), changes=described)
    make_series(tmp_path / "in" / "y" / "b", shape=(8, 8, 12), changes=described)
    assert len(chosen(tmp_path / "in")[0]) == 1  # by its UIDs and ID it is one study
    for sex, folder in (("M", "a"), ("F", "b")):

        def nobody(ds: Dataset, k: int, sex: str = sex) -> None:
            described(ds, k)
            ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "", "", "", sex

        make_series(tmp_path / "un" / folder, shape=(8, 8, 12), changes=nobody)
    assert chosen(tmp_path / "un")[0] == {"a", "b"}


def test_contrasts_of_an_unnamed_patient_in_one_space_stay_one_visit(tmp_path: Path) -> None:
    for folder in ("t1", "t2"):

        def nobody(ds: Dataset, k: int, folder: str = folder) -> None:
            ds.PatientID, ds.PatientName, ds.SeriesDescription = "", "", f"{folder}_tse"

        make_series(tmp_path / folder, shape=(8, 8, 12), changes=nobody)
    taken, reasons = chosen(tmp_path)
    assert taken == {"t1"}
    assert "the T1w of this visit is preferred" in reasons["t2"]


def test_time_points_that_are_called_as_contrasts_are_visits(tmp_path: Path) -> None:
    touch(tmp_path, "p/T1_T1w.nii.gz", "p/T2_T1w.nii.gz", "p/T1_T2w.nii.gz", "p/T2_T2w.nii.gz")
    assert chosen(tmp_path)[0] == {"p/T1_T1w.nii.gz", "p/T2_T1w.nii.gz"}
    assert chosen(tmp_path, "T2w")[0] == {"p/T1_T2w.nii.gz", "p/T2_T2w.nii.gz"}
    touch(tmp_path / "q", "T1_mprage.nii.gz", "T2_mprage.nii.gz")
    assert chosen(tmp_path / "q")[0] == {"T1_mprage.nii.gz", "T2_mprage.nii.gz"}
    touch(tmp_path / "r", "p1_T1.nii.gz", "p1_T2.nii.gz", "p1_T2_FLAIR.nii.gz")  # the control
    assert chosen(tmp_path / "r")[0] == {"p1_T1.nii.gz"}
