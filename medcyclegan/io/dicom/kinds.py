"""What a derived series is: its kind of image, and how its voxels are stored.

HU are stored as they are. MR signal has no unit, so the range that a model works in is spread over
12 bits, as MR scanners store them: viewers show all of it, and images of one model keep one scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.common import pixel_format
from medcyclegan.io.dicom.copies import copy_valid, copy_window, log_invalid
from medcyclegan.io.dicom.tags import CT_ACQUISITION
from medcyclegan.volume import FloatVoxels, Unit

StoredVoxels = NDArray[np.int16] | NDArray[np.uint16]

# What 12 bits with the usual intercept hold: what planning systems expect of a CT.
HU_RANGE = (-1024, 3071)
# The unit of MR signal is arbitrary, so a factor loses nothing, and rounding to a 4095th of the
# brightest voxel stays below the noise of any acquisition.
MR_BITS = 12
# Soft tissue, level and width in HU.
HU_WINDOW = ("40", "400")


@dataclass(frozen=True)
class Encoding:
    """How values become whole numbers in 16 bits: round((value - intercept) / slope), clipped."""

    bits: int
    lowest: int
    highest: int
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def signed(self) -> bool:
        """Whether negative numbers are stored."""
        return self.lowest < 0

    def stored(self, voxels: FloatVoxels) -> StoredVoxels:
        """Return voxels of any shape as they are stored, little endian."""
        scaled = np.rint((voxels - np.float32(self.intercept)) / np.float32(self.slope))
        clipped = np.clip(scaled, self.lowest, self.highest)
        return np.asarray(clipped, dtype="<i2" if self.signed else "<u2")

    def pixel_format(self, geometry: Geometry) -> Dataset:
        """Return the description of such pixels on a grid (i, j, k)."""
        return pixel_format(geometry, bits_stored=self.bits, signed=self.signed)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of derived image.

    ``header`` is the same in all slices; ``acquisition`` names what each slice takes over from its
    slice of the source where that has it, ``keeps_window`` that it is shown as that; ``prefix``
    begins the names of files; ``needs_place``: its slices must lie in space.
    """

    unit: Unit
    prefix: str
    encoding: Encoding
    header: Dataset
    acquisition: tuple[str, ...] = ()
    keeps_window: bool = False
    needs_place: bool = True

    def of_acquisition(self, source: Dataset) -> Dataset:
        """Return what a slice takes over from the acquisition of its slice of the source."""
        ds = copy_valid(source, self.acquisition)
        if self.keeps_window:
            ds.update(copy_window(source))
        return ds


def ct() -> Kind:
    """A CT that no X-ray took part in: nothing of an acquisition is told."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.AcquisitionNumber = None
    ds.KVP = None
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = HU_WINDOW
    return Kind("HU", "CT", Encoding(16, *HU_RANGE), ds)


def ct_of_ct(source: Dataset) -> Kind:
    """A CT from a CT: the exposure, the contrast agent and the window stay as they were."""
    plain = ct()
    log_invalid(source, CT_ACQUISITION)
    return Kind(
        plain.unit,
        plain.prefix,
        plain.encoding,
        plain.header,
        acquisition=CT_ACQUISITION,
        keeps_window=len(copy_window(source)) > 0,
    )


def unacquired_mr() -> Dataset:
    """Return what an MR image must tell of its acquisition: that there was none.

    ``RM``, research mode, stands for no sequence of a scanner; times that must be present are empty
    (PS3.3 C.8.3.1).
    """
    ds = Dataset()
    ds.SOPClassUID = MRImageStorage
    ds.Modality = "MR"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "RM", "NONE", ""
    for keyword in ("MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(ds, keyword, None)
    return ds


def mr(value_range: tuple[float, float]) -> Kind:
    """An MR that no scanner measured; ``value_range`` is spread over its 12 bits."""
    lowest, highest = value_range
    largest = 2**MR_BITS - 1
    ds = unacquired_mr()
    ds.WindowCenter, ds.WindowWidth = str(2 ** (MR_BITS - 1)), str(2**MR_BITS)
    encoding = Encoding(MR_BITS, 0, largest, (highest - lowest) / largest, lowest)
    return Kind("a.u.", "MR", encoding, ds)
