"""Small synthetic DICOM series, so that every test makes the input that it breaks.

The slices are valid MR or CT Image Storage objects with a known affine and known voxels:

    paths = make_series(folder)                  # ten axial MR slices
    pattern((20, 24, 10))                        # the stored values, (i, j, k)
    make_series(folder, changes=lambda ds, k: setattr(ds, "EchoTime", str(k)))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from tests.dicom_encoding import save

Change = Callable[[Dataset, int], None]

PATIENT_NAME = "Secret^Person"
PATIENT_ID = "ID-4711"
STUDY_UID = generate_uid(entropy_srcs=["medcyclegan test study"])
FRAME_UID = generate_uid(entropy_srcs=["medcyclegan test frame of reference"])


def axial_affine(
    spacing_mm: tuple[float, float, float] = (0.9375, 1.25, 2.5),
) -> NDArray[np.float64]:
    """(4, 4) RAS affine of a plain axial series: i to the left, j to the back, k to the head."""
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
    affine[:3, 3] = (9.1, 14.37, -31.25)
    return affine


def pattern(shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Stored values (i, j, k), different for every axis, below 4096."""
    i, j, k = np.indices(shape)
    return ((3 * i + 41 * j + 211 * k) % 4093).astype(np.uint16)


def make_series(
    folder: Path,
    *,
    shape: tuple[int, int, int] = (20, 24, 10),
    affine_ras: NDArray[np.float64] | None = None,
    modality: str = "MR",
    transfer_syntax: UID = ExplicitVRLittleEndian,
    changes: Change | None = None,
) -> list[Path]:
    """Write one file a slice and return the paths in the order of k.

    Parameters
    ----------
    folder:
        Made if absent. Its name makes the SeriesInstanceUID, so two folders are two series.
    shape:
        (i, j, k): columns, rows, slices.
    affine_ras:
        (4, 4), voxel index to RAS mm; default ``axial_affine()``.
    modality:
        ``"MR"`` or ``"CT"``; CT gets a rescale intercept of -1024.
    transfer_syntax:
        One of those in ``tests.dicom_encoding``.
    changes:
        Called with each data set and its k just before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = axial_affine() if affine_ras is None else affine_ras
    voxels = pattern(shape)
    paths = []
    for k in range(shape[2]):
        ds = make_slice(voxels[:, :, k], affine_ras=affine, k=k, modality=modality)
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", folder.name])
        ds.SOPInstanceUID = generate_uid(entropy_srcs=["slice", folder.name, str(k)])
        if changes is not None:
            changes(ds, k)
        paths.append(folder / f"IM{k:04d}.dcm")
        save(ds, paths[-1], transfer_syntax=transfer_syntax)
    return paths


def make_slice(
    stored: NDArray[np.uint16], *, affine_ras: NDArray[np.float64], k: int, modality: str = "MR"
) -> Dataset:
    """One slice's data set from its stored values (i, j); UIDs of series and instance are new."""
    ds = _identity(modality)
    ds.InstanceNumber = str(k + 1)
    ds.SOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID = generate_uid()
    _place(ds, affine_ras, k)
    (_mr_attributes if modality == "MR" else _ct_attributes)(ds)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Columns, ds.Rows = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelRepresentation = 0
    ds.WindowCenter, ds.WindowWidth = "600.", "1200.0"
    ds.PixelData = np.ascontiguousarray(stored.T).astype("<u2").tobytes()
    return ds


def _identity(modality: str) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = MRImageStorage if modality == "MR" else CTImageStorage
    ds.Modality = modality
    ds.Manufacturer = "Maker of Tests"
    ds.ManufacturerModelName = "Phantom 3000"
    ds.PatientName, ds.PatientID = PATIENT_NAME, PATIENT_ID
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19700101", "O", "050Y"
    ds.PatientSize, ds.PatientWeight = "1.80", "80"
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = STUDY_UID, FRAME_UID
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20240229", "115900.25", "7"
    ds.SeriesDate, ds.SeriesTime, ds.SeriesNumber = "20240229", "120000", "4"
    ds.AccessionNumber, ds.ReferringPhysicianName = "A1", "Doctor^Who"
    ds.SeriesDescription = f"phantom {modality}"
    ds.PatientPosition, ds.PositionReferenceIndicator = "HFS", ""
    ds.BodyPartExamined = "HEAD"
    return ds


def _place(ds: Dataset, affine_ras: NDArray[np.float64], k: int) -> None:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_ras
    row_mm, column_mm, slice_mm = np.linalg.norm(lps[:3, :3], axis=0)
    position = lps[:3, 3] + k * lps[:3, 2]
    cosines = np.concatenate([lps[:3, 0] / row_mm, lps[:3, 1] / column_mm])
    ds.ImagePositionPatient = [_ds(value, style) for style, value in enumerate(position)]
    ds.ImageOrientationPatient = [_ds(value, style) for style, value in enumerate(cosines)]
    ds.PixelSpacing = [_ds(column_mm, 0), _ds(row_mm, 1)]
    ds.SliceThickness = _ds(slice_mm, 1)
    ds.SpacingBetweenSlices = _ds(slice_mm, 2)


def _ds(value: float, style: int) -> str:
    """A decimal string as this or that scanner writes it; never loses a digit that fits."""
    text = format_number_as_ds(float(value))
    if len(text) > 16:  # 9.999999999999998, rounded up
        text = format_number_as_ds(float(text))
    if style % 3 == 0 or "e" in text or len(text) > 12:
        return text
    if style % 3 == 1:
        return f"{text}00" if "." in text else f"{text}.0"
    return f"{text}e+00"


def _mr_attributes(ds: Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "SP", ""
    ds.MRAcquisitionType = "3D"
    ds.EchoTime, ds.RepetitionTime, ds.EchoTrainLength = "2.98", "2300.0", "1"
    ds.InversionTime, ds.FlipAngle = "900", "9"
    ds.MagneticFieldStrength, ds.ImagedNucleus = "3", "1H"
    ds.AcquisitionNumber, ds.ProtocolName = "1", "t1_phantom"


def _ct_attributes(ds: Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.KVP, ds.AcquisitionNumber = "120", "1"
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1.0", "-1024", "HU"
