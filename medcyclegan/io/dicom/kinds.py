"""Kinds of derived images (CT, MR, radiograph, secondary capture) and how they store voxels.

What a derived series is: its kind of image, and how its voxels are stored.
HU are stored as they are. MR signal has no unit, so the range that a model works in is spread over
12 bits, as MR scanners store them: viewers show all of it, and images of one model keep one scale.

What a derived image without HU or MR signal is: a radiograph, or a secondary capture.
A radiograph made from a radiograph stays in its class (computed or digital), with what its class
needs to be told of the exposure. All else, as an image of CT look made from a radiograph, is a
secondary capture: grey values that no other class vouches for (PS3.3 A.8.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import FloatVoxels, Unit
from medcyclegan.errors import MedcycleganError
from medcyclegan.io.dicom.derived_attributes import (
    CT_ACQUISITION,
    RADIOGRAPH,
    RADIOGRAPH_CODES,
    pixel_format,
)
from medcyclegan.io.dicom.vr_validation import (
    copy_codes,
    copy_optional,
    copy_valid,
    copy_window,
    log_invalid,
)

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


# Where the source does not tell: all that 16 bits hold.
BITS = 16
_DIGITAL = (DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing)


def radiograph_of(source: Dataset, value_range: tuple[float, float] | None) -> Kind:
    """Return a radiograph like ``source``; a secondary capture if that is of another class.

    ``value_range`` is spread over the bits of the source. Without one, or where it is what those
    bits hold, values are stored as they are: they mean what they meant, and are shown in the
    window that they were shown in.
    """
    sop_class = source.get("SOPClassUID")
    if sop_class != ComputedRadiographyImageStorage and sop_class not in _DIGITAL:
        return capture_of(source, value_range)
    encoding = _encoding(source, value_range)
    ds = _of_exposure(source)
    ds.SOPClassUID, ds.Modality = sop_class, source.Modality
    for keyword in ("BodyPartExamined", "ViewPosition"):
        ds.setdefault(keyword, None)
    ds.ImageType = ["DERIVED", "SECONDARY"]
    if sop_class in _DIGITAL:
        ds.update(_digital(source))
        # Must be present; nothing is invented.
        for keyword, unknown in (
            ("PositionerType", ""),
            ("DetectorType", ""),
            ("ImageLaterality", "U"),
            ("AnatomicRegionSequence", []),
        ):
            if keyword not in ds:
                setattr(ds, keyword, unknown)
    ds.update(_window(source, encoding))
    return Kind("a.u.", "XR", encoding, ds, needs_place=False)


def capture_of(source: Dataset, value_range: tuple[float, float] | None) -> Kind:
    """Return a secondary capture; ``source`` may be empty, and ``value_range`` is as above."""
    encoding = _encoding(source, value_range)
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = SecondaryCaptureImageStorage, "OT"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType = "WSD"  # made on a workstation
    ds.update(copy_valid(source, ("PatientOrientation",)))
    ds.setdefault("PatientOrientation", None)
    ds.update(_window(source, encoding))
    return Kind("a.u.", "SC", encoding, ds, needs_place=False)


def _of_exposure(source: Dataset) -> Dataset:
    """Return what of the source's exposure and place on the detector still holds."""
    ds = copy_optional(source, RADIOGRAPH)
    ds.update(copy_codes(source, RADIOGRAPH_CODES))
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        # Zero stands for unknown in some files; the standard allows no zero.
        if keyword in ds and not min(ds[keyword].value or [0]) > 0:
            delattr(ds, keyword)
    return ds


def _encoding(source: Dataset, value_range: tuple[float, float] | None) -> Encoding:
    bits = int(source.get("BitsStored") or BITS)
    largest = 2**bits - 1
    if value_range is None:
        return Encoding(bits, 0, largest)
    lowest, highest = value_range
    return Encoding(bits, 0, largest, (highest - lowest) / largest, lowest)


def _window(source: Dataset, encoding: Encoding) -> Dataset:
    """Return the window of the source where values are stored as they are, or one that shows all.

    The values of MONOCHROME1 were turned when they were read, and so is its window (PS3.3
    C.11.2.1.2: the middle of a window lies half a step below its centre).
    """
    is_same = (encoding.slope, encoding.intercept) == (1.0, 0.0)
    ds = copy_window(source) if is_same else Dataset()
    count = encoding.highest + 1
    if "WindowCenter" not in ds:
        ds.WindowCenter, ds.WindowWidth = str(count // 2), str(count)
    elif source.get("PhotometricInterpretation") == "MONOCHROME1":
        element = ds["WindowCenter"]
        centres = element.value if element.VM > 1 else [element.value]
        del ds.WindowCenter  # the element is the source's own, and stays as it is
        ds.WindowCenter = [f"{count - float(centre):g}" for centre in centres]
    return ds


def _digital(source: Dataset) -> Dataset:
    """Return what a digital radiograph must tell of its values, which are no exposure any more."""
    ds = Dataset()
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.PixelIntensityRelationship = source.get("PixelIntensityRelationship") or "LIN"
    # Bone is bright: less intensity, larger values.
    ds.PixelIntensityRelationshipSign = -1
    ds.AcquisitionContextSequence = []
    return ds


KindName = Literal["CT", "MR", "XR", "SC"]

# What networks give for MR signal where a model says nothing else.
SIGNAL_RANGE = (0.0, 1000.0)


def kind_of(name: KindName, source: Dataset, *, value_range: tuple[float, float] | None) -> Kind:
    """Return the kind of image by its name.

    Parameters
    ----------
    name:
        ``CT`` in HU, ``MR`` signal, ``XR`` for a radiograph, ``SC`` for a secondary capture.
    source:
        A slice of the source; empty where the source is not of DICOM.
    value_range:
        But for CT: the values that are stored as 0 and as the largest number. None for pictures
        whose values are stored as they are.

    Raises
    ------
    MedcycleganError
        If there is no such kind.
    """
    if name == "CT":
        return ct_of_ct(source) if source.get("Modality") == "CT" else ct()
    if name == "MR":
        return mr(value_range or SIGNAL_RANGE)
    if name == "XR":
        return radiograph_of(source, value_range)
    if name == "SC":
        return capture_of(source, value_range)
    raise MedcycleganError(f"kind = {name!r}", rule=f"it must be one of {get_args(KindName)}")
