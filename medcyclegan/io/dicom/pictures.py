"""What a derived image without HU or MR signal is: a radiograph, or a secondary capture.

A radiograph made from a radiograph stays in its class (computed or digital), with what its class
needs to be told of the exposure. All else, as an image of CT look made from a radiograph, is a
secondary capture: grey values that no other class vouches for (PS3.3 A.8.1).
"""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from medcyclegan.io.dicom.copies import copy_codes, copy_optional, copy_valid, copy_window
from medcyclegan.io.dicom.kinds import Encoding, Kind
from medcyclegan.io.dicom.tags import RADIOGRAPH, RADIOGRAPH_CODES

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
