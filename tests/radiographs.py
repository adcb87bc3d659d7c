"""Radiographs made from code, valid for ``dciodvfy``: computed (CR) and digital (DX)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    generate_uid,
)

from tests.dicom_encoding import save

BITS = 12
WINDOW = ("1500", "900")


def radiograph_values() -> NDArray[np.uint16]:
    """(rows, columns) = (50, 44) stored values, smooth, of 12 bits."""
    rows, columns = np.indices((50, 44))
    return np.rint(2000 + 1500 * np.sin(rows / 9.0) * np.cos(columns / 7.0)).astype(np.uint16)


def write_radiograph(folder: Path, *, modality: str = "CR", inverted: bool = False) -> Path:
    """Write one radiograph into ``folder``, which is made; returns the file."""
    folder.mkdir()
    ds = _identity(modality)
    (_digital if modality == "DX" else _computed)(ds)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    ds.Rows, ds.Columns = radiograph_values().shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS, BITS - 1
    ds.PixelRepresentation = 0
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.WindowCenter, ds.WindowWidth = WINDOW
    ds.PixelData = radiograph_values().astype("<u2").tobytes()
    path = folder / "IM0001.dcm"
    save(ds, path)
    return path


def _identity(modality: str) -> Dataset:
    ds = Dataset()
    ds.Modality, ds.ImageType = modality, ["ORIGINAL", "PRIMARY"]
    ds.Manufacturer, ds.ManufacturerModelName = "Maker of Tests", "Ray 1"
    ds.PatientName, ds.PatientID = "Secret^Person", "ID-4711"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "O"
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["radiograph study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["radiograph series"])
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["radiograph"])
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20240229", "115900", "7"
    ds.SeriesNumber, ds.InstanceNumber = "4", "1"
    ds.AccessionNumber, ds.ReferringPhysicianName = "A1", "Doctor^Who"
    ds.SeriesDescription, ds.BodyPartExamined = "chest", "CHEST"
    ds.PatientOrientation = ["L", "F"]
    ds.KVP, ds.ExposureTime, ds.Exposure = "125", "8", "2"
    ds.BurnedInAnnotation = "NO"
    return ds


def _computed(ds: Dataset) -> None:
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.ViewPosition, ds.PlateType = "PA", "ST"
    ds.PixelSpacing = ["0.2", "0.1"]


def _digital(ds: Dataset) -> None:
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImagerPixelSpacing = ["0.2", "0.1"]
    ds.DetectorType, ds.ImageLaterality = "DIRECT", "U"
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.LossyImageCompression = "00"
    ds.AcquisitionContextSequence = []
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator = "T-D3000", "SRT"
    region.CodeMeaning = "Chest"
    ds.AnatomicRegionSequence = [region]
