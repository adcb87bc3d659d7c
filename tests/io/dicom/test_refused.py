"""Each series that is no regular volume is refused with its own reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME, axial_affine, make_series

SHAPE = (8, 6, 5)


def only(k_changed: int, **values: object) -> Callable[[Dataset, int], None]:
    """Change the attributes of one slice."""

    def change(ds: Dataset, k: int) -> None:
        if k == k_changed:
            for keyword, value in values.items():
                setattr(ds, keyword, value)

    return change


def without(keyword: str) -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, k: int) -> None:
        delattr(ds, keyword)

    return change


def shifted(k_changed: int, shift_mm: tuple[float, float, float]) -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, k: int) -> None:
        if k == k_changed:
            moved = np.array(ds.ImagePositionPatient, dtype=float) + shift_mm
            ds.ImagePositionPatient = [f"{value:.6f}" for value in moved]

    return change


TURNED = ["1", "0", "0", "0", "0.999", "0.0447101778"]
CASES = {
    "uneven": (shifted(2, (0, 0, 0.05)), "evenly spaced"),
    "two at one position": (shifted(2, (0, 0, 2.5)), "Two images at one position"),
    "sideways": (shifted(2, (0.5, 0, 0)), "even spacing puts it"),
    "echoes": (only(1, EchoTime="95"), "several echoes"),
    "echo numbers": (only(1, EchoNumbers="2"), "several echoes"),
    "time points": (only(1, TemporalPositionIdentifier="2"), "several time points"),
    "patient ID": (only(1, PatientID="Other-7"), "one patient"),
    "patient name": (only(1, PatientName="Other^Name"), "one patient"),
    "date of birth": (only(1, PatientBirthDate="19501224"), "one patient"),
    "sex": (only(1, PatientSex="F"), "one patient"),
    "lying another way": (only(1, PatientPosition="FFS"), "one position of the patient"),
    "lying unknown": (only(1, PatientPosition=""), "one position of the patient"),
    "study": (only(1, StudyInstanceUID=generate_uid()), "one study"),
    "frame": (only(1, FrameOfReferenceUID=generate_uid()), "one frame of reference"),
    "modality": (only(1, Modality="CT"), "one modality"),
    "rows": (only(1, Rows=5), "one matrix"),
    "columns": (only(1, Columns=7), "one matrix"),
    "spacing": (only(1, PixelSpacing=["1.26", "0.9375"]), "pixel spacing"),
    "orientation": (only(1, ImageOrientationPatient=TURNED), "orientation"),
    "no position": (without("ImagePositionPatient"), "ImagePositionPatient has 0 values"),
    "no orientation": (without("ImageOrientationPatient"), "ImageOrientationPatient has 0"),
    "no spacing": (without("PixelSpacing"), "PixelSpacing has 0 values"),
    "half a position": (only(1, ImagePositionPatient=["1", "2"]), "has 2 values"),
    "zero spacing": (lambda ds, k: setattr(ds, "PixelSpacing", ["0", "1"]), "above 0"),
    "no unit vectors": (
        lambda ds, k: setattr(ds, "ImageOrientationPatient", ["1", "0", "0", "0", "2", "0"]),
        "unit vectors",
    ),
    "colour": (only(1, SamplesPerPixel=3), "colour"),
    "palette": (only(1, PhotometricInterpretation="PALETTE COLOR"), "colour"),
    "zero slope": (only(1, RescaleSlope="0", RescaleIntercept="0"), "RescaleSlope is 0"),
    "modality LUT": (only(1, ModalityLUTSequence=[Dataset()]), "Modality LUT"),
    "odd bits": (only(1, BitsAllocated=12), "bits allocated"),
    "no rows": (lambda ds, k: setattr(ds, "Rows", 0), "at least 1"),
    "absurd size": (
        lambda ds, k: (setattr(ds, "Rows", 65535), setattr(ds, "Columns", 65535)),
        "voxels",
    ),
    "large size": (
        lambda ds, k: (setattr(ds, "Rows", 9000), setattr(ds, "Columns", 9000)),
        "truncated",
    ),
    "mosaic": (
        lambda ds, k: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
        "Siemens mosaic",
    ),
    "frames without place": (lambda ds, k: setattr(ds, "NumberOfFrames", 2), "frames"),
}


@pytest.mark.parametrize(("change", "reason"), CASES.values(), ids=CASES.keys())
def test_refused_with_its_reason(
    tmp_path: Path, change: Callable[[Dataset, int], None], reason: str
) -> None:
    make_series(tmp_path / "s", shape=SHAPE, changes=change)
    with pytest.raises(InputRefused, match=reason) as caught:
        read_dicom(tmp_path / "s")
    message = str(caught.value)
    assert str(tmp_path) in message
    for secret in (PATIENT_NAME, PATIENT_ID, "Other"):
        assert secret not in message


def test_control_the_unchanged_series_is_read(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=SHAPE, changes=shifted(2, (0, 0, 0.02)))
    assert read_dicom(tmp_path / "s").volume.voxels.shape == SHAPE


def test_missing_slice(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    paths[2].unlink()
    with pytest.raises(InputRefused, match=r"Distance 5\.0000 mm between .*IM0001.*IM0003"):
        read_dicom(tmp_path / "s")


def test_gantry_tilt(tmp_path: Path) -> None:
    affine = axial_affine()
    affine[:3, 2] = (0.0, 2.5 * np.sin(0.2), 2.5 * np.cos(0.2))
    make_series(tmp_path / "s", shape=SHAPE, affine_ras=affine)
    with pytest.raises(InputRefused, match=r"11\.46 degrees"):
        read_dicom(tmp_path / "s")


def test_slow_drift(tmp_path: Path) -> None:
    """Gaps that are each within tolerance may not add up."""

    def drift(ds: Dataset, k: int) -> None:
        z = 1.008 * k if k < 20 else 1.008 * 20 + 0.992 * (k - 20)
        ds.ImagePositionPatient = ["0", "0", f"{z:.6f}"]

    make_series(tmp_path / "s", shape=(4, 4, 41), changes=drift)
    with pytest.raises(InputRefused, match="even spacing puts it"):
        read_dicom(tmp_path / "s")
