"""What every series that is made here has in common: blanks, times and pixel format."""

from __future__ import annotations

from datetime import datetime

from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.tags import PRESENT_EVEN_IF_EMPTY


def blank_identity() -> Dataset:
    """Return the attributes of patient and study that must be present, all empty."""
    ds = Dataset()
    for keyword in PRESENT_EVEN_IF_EMPTY:
        setattr(ds, keyword, "")
    return ds


def times_of(now: datetime) -> Dataset:
    """Return the times of making: of the instance, the series and the content."""
    ds = Dataset()
    for stage in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{stage}Date", now.strftime("%Y%m%d"))
        setattr(ds, f"{stage}Time", now.strftime("%H%M%S.%f"))
    return ds


def pixel_format(geometry: Geometry, *, bits_stored: int, signed: bool) -> Dataset:
    """Return the description of 16 bit pixels on a grid (i, j, k): i are columns, j are rows."""
    ds = Dataset()
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Columns, ds.Rows, slices = geometry.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(signed)
    if slices > 1:
        ds.SpacingBetweenSlices = format_number_as_ds(geometry.spacing_mm[2])
    return ds
