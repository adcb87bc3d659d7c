"""A dry run decides of each input as the run does, where headers tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from medcyclegan.io.dicom.api import Deidentifier
from medcyclegan.workflow.batch.foresight import foreseen
from medcyclegan.workflow.batch.item import Extras, Row
from medcyclegan.workflow.batch.run import plan_batch, run_batch
from medcyclegan.workflow.batch.workers import Crew
from tests.dicom_factory import Change, axial_affine
from tests.odd.inputs import head_series
from tests.tiny_model import tiny_folder
from tests.workflow.batch.trees import Quiet, order, provenance, small_nifti

TILTED = axial_affine((8.0, 8.0, 14.0))
TILTED[1, 2] = 3.0
After = Callable[[list[Path]], None]


def at(place: int, **values: object) -> Change:
    """Set attributes of one slice of ten."""

    def change(ds: Dataset, k: int) -> None:
        if k == place:
            for keyword, value in values.items():
                setattr(ds, keyword, value)

    return change


def capture(name: str, modality: str) -> After:
    """Put a screenshot into the series, as a workstation saves it: its UIDs, no position."""

    def after(paths: list[Path]) -> None:
        ds = dcmread(paths[0])
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.Modality, ds.ImageType, ds.ConversionType = modality, ["DERIVED", "SECONDARY"], "WSD"
        del ds.ImagePositionPatient, ds.ImageOrientationPatient
        ds.save_as(paths[0].with_name(name))

    return after


def undated(paths: list[Path]) -> None:
    """Eight letters in place of the date, byte by byte."""
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"20240229", b"20XX0229"))


LOCALIZER = {
    "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    "ImageOrientationPatient": ["0", "1", "0", "0", "0", "-1"],
}
ODD: dict[str, tuple[Change | None, After | None]] = {
    "a capture behind": (None, capture("z.dcm", "OT")),
    "a capture in front": (None, capture("A.dcm", "OT")),
    "a capture called MR": (None, capture("z.dcm", "MR")),
    "a capture called MR in front": (None, capture("A.dcm", "MR")),
    "a localizer in front": (at(0, **LOCALIZER), None),
    "a localizer among slices": (at(5, **LOCALIZER), None),
    "another orientation": (at(5, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"]), None),
    "another matrix": (at(5, Rows=12), None),
    "two echoes": (at(5, EchoTime="95"), None),
    "two patients": (at(5, PatientID="other"), None),
    "two sexes": (at(5, PatientSex="F"), None),
    "colour": (at(5, SamplesPerPixel=3, PhotometricInterpretation="RGB"), None),
    "a slope of 0": (at(5, RescaleSlope="0", RescaleIntercept="0"), None),
    "no position": (at(5, ImagePositionPatient=None), None),
    "a slice out of step": (at(5, ImagePositionPatient=["72", "88", "10"]), None),
    "no study": (lambda ds, k: delattr(ds, "StudyInstanceUID"), None),
    "an invalid date": (None, undated),
    "a mosaic": (at(0, ImageType=["ORIGINAL", "MOSAIC"]), None),
}  # fmt: skip
GOOD = ("good", "study dates that differ")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, (name, (change, after)) in enumerate(ODD.items()):
        paths = head_series(tmp_path / "in" / name / f"odd{number}", of_study(number, change))
        if after is not None:
            after(paths)
    head_series(tmp_path / "in" / "good" / "good", of_study(100, None))
    date = at(5, StudyDate="20240301")
    head_series(tmp_path / "in" / GOOD[1] / "dates", of_study(101, date))
    head_series(tmp_path / "in" / "tilted" / "tilted", of_study(102, None), affine_ras=TILTED)
    small_nifti(tmp_path / "in" / "file" / "t1.nii.gz")
    small_nifti(tmp_path / "in" / "there" / "t1.nii.gz")
    small_nifti(tmp_path / "out" / "there" / "t1_sct.nii.gz")  # of somebody else
    return tmp_path / "in"


def of_study(number: int, change: Change | None) -> Change:
    def changed(ds: Dataset, k: int) -> None:
        ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
        if change is not None:
            change(ds, k)

    return changed


def statuses(rows: tuple[Row, ...]) -> dict[str, tuple[str, str]]:
    """Status and reason by the first folder; done and to do are one."""
    fine = ("waiting", "done", "doubtful")
    return {
        row.source.split("/")[0]: ("taken", "") if row.status in fine else (row.status, row.reason)
        for row in rows
    }


def test_a_dry_run_and_the_run_decide_alike(root: Path, tmp_path: Path) -> None:
    asked = order(root, tmp_path / "out", tiny_folder(tmp_path / "tiny"))
    before = np.sort([str(path) for path in tmp_path.rglob("*")])
    plan, settings = plan_batch(asked, provenance=provenance())
    dry = statuses(foreseen(plan, settings).rows)
    assert np.array_equal(before, np.sort([str(path) for path in tmp_path.rglob("*")]))
    done = statuses(run_batch(asked, Crew(), provenance=provenance(), watcher=Quiet()).rows)
    assert dry == done
    assert {name for name, (status, _) in dry.items() if status == "taken"} == {*GOOD, "file"}
    assert {status for status, _ in dry.values()} == {"taken", "refused", "failed"}
    # The control: what the plan alone takes for work.
    assert len([row for row in plan.rows if row.status == "waiting"]) > 10


def test_burned_in_text_is_foreseen_where_the_patient_is_taken_out(tmp_path: Path) -> None:
    head_series(tmp_path / "in" / "mr", lambda ds, k: setattr(ds, "BurnedInAnnotation", "YES"))
    model = tiny_folder(tmp_path / "tiny")
    for deidentifier, status in ((None, "waiting"), (Deidentifier(b"0123456789abcdef"), "refused")):
        asked = order(
            tmp_path / "in", tmp_path / "out", model, extras=Extras(deidentifier=deidentifier)
        )
        (row,) = foreseen(*plan_batch(asked, provenance=provenance())).rows
        assert row.status == status


def test_a_tilt_is_foreseen_as_it_would_be_corrected(tmp_path: Path) -> None:
    head_series(tmp_path / "in" / "ct", affine_ras=TILTED, modality="CT")
    model = "ct-denoise"
    for untilt, status in ((False, "refused"), (True, "waiting")):
        asked = order(tmp_path / "in", tmp_path / "out", Path(model), extras=Extras(untilt=untilt))
        (row,) = foreseen(*plan_batch(asked, provenance=provenance())).rows
        assert row.status == status
