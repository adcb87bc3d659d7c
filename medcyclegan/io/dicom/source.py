"""What a derived slice takes from the slice of the source, and how it refers to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage
from pydicom.valuerep import format_number_as_ds

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import readable
from medcyclegan.io.dicom.derived_attributes import (
    EQUIPMENT,
    OPTIONAL_AS_SOURCE,
    PLANE,
    PRESENT_EVEN_IF_EMPTY,
    REQUIRED_AS_SOURCE,
    blank_identity,
)
from medcyclegan.io.dicom.header import KeptText
from medcyclegan.io.dicom.vr_validation import copy_codes, copy_optional, copy_required, is_valid

_MULTI_FRAME = (EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_IS_MAXIMUM = 2**31 - 1
_SERIES_NUMBER_STEP = 1000


def identity_of(source: Dataset) -> Dataset:
    """Return patient, study and the statements on the source's values, for the derived series."""
    _needed(source, "StudyInstanceUID")
    ds = blank_identity()
    ds.update(copy_required(source, PRESENT_EVEN_IF_EMPTY + REQUIRED_AS_SOURCE))
    ds.update(copy_optional(source, OPTIONAL_AS_SOURCE))
    ds.update(copy_codes(source, ("DeidentificationMethodCodeSequence",)))
    if not ds.get("BodyPartExamined") and "Laterality" not in ds:
        ds.Laterality = ""
    if "SpecificCharacterSet" not in ds and not _is_ascii(source):
        ds.SpecificCharacterSet = "ISO_IR 192"
    return ds


def description_of(source: Dataset) -> str:
    """Return SeriesDescription as one line of text, empty where there is none."""
    element = readable(source, "SeriesDescription")
    if element is None or element.VR != "LO":
        return ""
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    line = " ".join(str(value) for value in values if value)
    if isinstance(element, KeptText) and not element.is_sound:
        line = line.encode("ascii", "ignore").decode()  # what else it says, nobody knows
    return "".join(character for character in line if character.isprintable())


def pixel_history_of(sources: Sequence[Dataset]) -> Dataset:
    """Return what the standard forbids to forget: lossy compression and burned-in text.

    One slice that has it is enough: a network's output depends on neighbouring slices too.
    """
    ds = Dataset()
    lossy = [source for source in sources if _value(source, "LossyImageCompression") == "01"]
    ds.LossyImageCompression = "01" if lossy else "00"
    if lossy:
        ds.update(
            copy_required(lossy[0], ("LossyImageCompressionRatio", "LossyImageCompressionMethod"))
        )
    has_text = any(_value(source, "BurnedInAnnotation") == "YES" for source in sources)
    ds.BurnedInAnnotation = "YES" if has_text else "NO"
    return ds


def is_synthetic(source: Dataset) -> bool:
    """Whether a header says that a program made the image, and no scanner acquired it."""
    return bool(_value(source, "SyntheticData") == "YES")


def plane_of(source: Dataset, *, step_mm: float | None) -> Dataset:
    """Return position, orientation, spacing and thickness, untouched; thickness may be empty.

    A thickness of 0, which DICOM does not allow, becomes ``step_mm``, the measured distance of
    slices; empty where there is none.
    """
    ds = Dataset()
    ds.SliceThickness = None
    ds.update(copy_required(source, PLANE))
    if ds.SliceThickness is not None and not ds.SliceThickness > 0:
        del ds.SliceThickness  # the element is the source's own, and stays as it is
        ds.SliceThickness = None if step_mm is None else format_number_as_ds(step_mm)
    return ds


def equipment_of(source: Dataset) -> Dataset:
    """Return ContributingEquipmentSequence with the scanner, or nothing if its maker is unknown."""
    ds = Dataset()
    scanner = copy_optional(source, tuple(name for name in EQUIPMENT if _value(source, name)))
    if "Manufacturer" not in scanner:
        return ds  # the item needs a maker, and none is invented
    scanner.PurposeOfReferenceCodeSequence = [code_item("109101", "Acquisition Equipment")]
    ds.ContributingEquipmentSequence = [scanner]
    return ds


def references_to(source: Dataset, frame_number: int | None, *, same_places: bool) -> Dataset:
    """Return the references to the slice and the series that a slice was made from.

    ``frame_number`` is 1-based; it is written for multi-frame objects only, as a tile of a mosaic
    is no frame in the sense of DICOM. ``same_places``: pixels lie where they lie in the source.
    """
    instance = Dataset()
    instance.ReferencedSOPClassUID = _needed(source, "SOPClassUID")
    instance.ReferencedSOPInstanceUID = _needed(source, "SOPInstanceUID")
    image = Dataset()
    image.update(instance)
    if frame_number is not None and source.SOPClassUID in _MULTI_FRAME:
        image.ReferencedFrameNumber = frame_number
    image.SpatialLocationsPreserved = "YES" if same_places else "NO"
    image.PurposeOfReferenceCodeSequence = [
        code_item("121322", "Source image for image processing operation")
    ]
    series = Dataset()
    series.SeriesInstanceUID = _needed(source, "SeriesInstanceUID")
    series.ReferencedInstanceSequence = [instance]
    ds = Dataset()
    ds.SourceImageSequence = [image]
    ds.ReferencedSeriesSequence = [series]
    return ds


def derived_series_number(source: Dataset) -> int:
    """Return the source's number + 1000; - 1000 where that would exceed an integer string."""
    element = readable(source, "SeriesNumber") if "SeriesNumber" in source else None
    number = int(element.value or 0) if element is not None and is_valid(element) else 0
    if number > _IS_MAXIMUM - _SERIES_NUMBER_STEP:
        return number - _SERIES_NUMBER_STEP
    return number + _SERIES_NUMBER_STEP


def _needed(source: Dataset, keyword: str) -> str:
    value = _value(source, keyword)
    if not value:
        raise InputRefused(
            f"The source has no {keyword}",
            rule="a derived series joins the study of its source and refers to each slice",
            remedy="mend the source series, or write NIfTI",
        )
    return str(value)


def code_item(value: str, meaning: str) -> Dataset:
    """Return a code of DICOM's own scheme, as the item of a sequence."""
    ds = Dataset()
    ds.CodeValue = value
    ds.CodingSchemeDesignator = "DCM"
    ds.CodeMeaning = meaning
    return ds


def _is_ascii(source: Dataset) -> bool:
    """Whether no text has to be encoded: those of a file keep their bytes, declared or not."""
    names = (*PRESENT_EVEN_IF_EMPTY, *OPTIONAL_AS_SOURCE, *EQUIPMENT, "SeriesDescription")
    present = (readable(source, name) for name in names if name in source)
    return all(
        isinstance(element, KeptText) or str(element.value).isascii()
        for element in present
        if element is not None
    )


def _value(source: Dataset, keyword: str) -> Any:
    element = readable(source, keyword)
    return None if element is None else element.value
