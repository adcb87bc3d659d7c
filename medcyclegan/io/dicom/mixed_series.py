"""What may differ between the slices of one series, and has to be told where it does.

Attributes of patient, study and scanner, which all slices of a series share, and of which a derived
series can take over those of one slice alone; and scales of values beside the rescale slope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import (
    PYDICOM_ERRORS,
    private_value,
    quiet,
    raw_value,
    readable,
    text,
)
from medcyclegan.io.dicom.derived_attributes import (
    EQUIPMENT,
    OPTIONAL_AS_SOURCE,
    PRESENT_EVEN_IF_EMPTY,
)
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.pixels import rescale_of

# Equal in all slices of a series, by the standard (PS3.3 A.1.4); others of that kind are refused
# where they differ (series_consistency).
_REFUSED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "IssuerOfPatientID",
    "PatientPosition",
)  # fmt: skip
_SHARED = tuple(
    keyword
    for keyword in (
        *PRESENT_EVEN_IF_EMPTY, "PatientIdentityRemoved", "DeidentificationMethod",
        *OPTIONAL_AS_SOURCE, *EQUIPMENT, "SeriesDate",
    )
    if keyword not in _REFUSED
)  # fmt: skip
# Factors are stored with 6 digits and more.
_TOLERANCE_RELATIVE = 1e-4
_PHILIPS, _PHILIPS_FRAME = "Philips MR Imaging DD 001", "Philips MR Imaging DD 005"
_SCALE_SLOPE, _FRAME_ITEM = 0x0E, 0x0F
_HU = "[hnsf'U]"  # as UCUM writes it


def shared_warning(views: Sequence[SliceView]) -> tuple[str, ...]:
    """Return a sentence that names what of patient, study and scanner differs; never a value."""
    headers = list({view.file: None for view in views})
    if len(headers) == 1:
        return ()
    differ = [
        keyword for keyword in _SHARED if len({_told(file.header, keyword) for file in headers}) > 1
    ]
    if not differ:
        return ()
    return (
        f"The slices differ in {', '.join(differ)}, which all slices of a series share: those of "
        "two studies may be mixed. A derived DICOM series takes over that of the first slice.",
    )


def _told(header: Dataset, keyword: str) -> str:
    if keyword not in header:
        return ""
    element = readable(header, keyword)
    return "(unreadable)" if element is None else str(element.value or "").strip()


@dataclass(frozen=True)
class _Scale:
    """From values as displayed to real ones: value * slope + intercept; ``unit`` as UCUM code."""

    slope: float
    intercept: float
    unit: str = ""

    def is_like(self, other: _Scale) -> bool:
        """Whether both are the same, but for the rounding of headers."""
        near = abs(self.slope - other.slope) <= _TOLERANCE_RELATIVE * abs(other.slope)
        # Values span some thousand steps, so that an intercept counts by steps.
        step = abs(self.intercept - other.intercept) <= 0.5 * abs(other.slope)
        return near and step and self.unit == other.unit


def scale_warnings(views: Sequence[SliceView], modality: str) -> tuple[str, ...]:
    """Return sentences on scales beside the rescale slope that differ from slice to slice.

    They say what the values mean (PS3.3 C.7.6.16.2.11; Philips's private ScaleSlope), and are
    passed over: values are read as they are displayed.

    Raises
    ------
    InputRefused
        If such a scale gives a CT other HU than its rescale slope does, or some of its slices.
    """
    mappings = [_mapping(view) for view in views]
    if modality == "CT":
        _check_ct(views, mappings)
        return ()
    scales = (
        ("RealWorldValueMapping", mappings),
        ("Philips ScaleSlope", list(map(_philips, views))),
    )
    said = tuple(_differs_said(what) for what, found in scales if not _are_alike(found))
    return said + _types_said(views)


def _differs_said(what: str) -> str:
    return (
        f"The {what} differs from slice to slice, so that one value as displayed is another signal "
        "in each; values were read as displayed. Where slices were scaled apart, scale them alike "
        "(dcm2niix does) and give the NIfTI file."
    )


def _types_said(views: Sequence[SliceView]) -> tuple[str, ...]:
    kinds = {text(view.dataset, "RescaleType", view.path) or "US" for view in views}
    if len(kinds) == 1:
        return ()
    return ("RescaleType, the unit of the values, differs from slice to slice.",)


def _are_alike(scales: Sequence[_Scale | None]) -> bool:
    first = scales[0]
    if first is None:
        return all(scale is None for scale in scales)
    return all(scale is not None and scale.is_like(first) for scale in scales)


def _check_ct(views: Sequence[SliceView], mappings: Sequence[_Scale | None]) -> None:
    there = [(view, scale) for view, scale in zip(views, mappings, strict=True) if scale]
    for view, scale in there:
        is_other = scale.unit == _HU and not scale.is_like(_Scale(1.0, 0.0, _HU))
        if is_other or not scale.is_like(there[0][1]):
            what = (
                "gives other HU than its rescale slope"
                if is_other
                else "is another than that of other slices"
            )
            raise InputRefused(
                f"{view.name}: the RealWorldValueMapping of the CT {what}",
                rule="values must become HU in one way, alike in all slices",
                remedy="check which scale holds, and export the series again with that alone",
            )


def _philips(view: SliceView) -> _Scale | None:
    """The signal that Philips scanners measured, of values as displayed: value / (RS * SS)."""
    for item in (*_in_groups(view, _philips_items), view.dataset):
        try:
            slope = float(private_value(item, 0x2005, _SCALE_SLOPE, _PHILIPS))
            return _Scale(1.0 / (rescale_of(view).slope * slope), 0.0)
        except (ValueError, ZeroDivisionError):
            continue  # none there, or damaged
    return None


def _philips_items(groups: Dataset) -> list[Dataset]:
    try:
        with quiet():
            found = groups.private_block(0x2005, _PHILIPS_FRAME)[_FRAME_ITEM].value
    except PYDICOM_ERRORS:
        return []
    return list(found) if isinstance(found, Items) else []


def _mapping(view: SliceView) -> _Scale | None:
    """The first linear mapping to real values, of values as displayed."""
    items = [*_in_groups(view, _mappings(view)), *_mappings(view)(view.dataset)]
    for item in items:
        try:
            with quiet():
                slope = float(item.RealWorldValueSlope)
                intercept = float(item.RealWorldValueIntercept)
                units = item.get("MeasurementUnitsCodeSequence") or [Dataset()]
                unit = str(units[0].get("CodeValue", ""))
        except PYDICOM_ERRORS:
            continue  # a table, or damage
        shown = rescale_of(view)
        ratio = slope / shown.slope
        return _Scale(ratio, intercept - ratio * shown.intercept, unit)
    return None


def _mappings(view: SliceView) -> Callable[[Dataset], list[Dataset]]:
    return lambda groups: _items(groups, "RealWorldValueMappingSequence", view)


def _in_groups(view: SliceView, items_of: Callable[[Dataset], list[Dataset]]) -> list[Dataset]:
    """Items of the frame's own functional groups, or else of the shared ones."""
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        groups = _items(view.dataset, name, view)
        if groups and (found := items_of(groups[0])):
            return found
    return []


def _items(ds: Dataset, keyword: str, view: SliceView) -> list[Dataset]:
    value = raw_value(ds, keyword, view.path)
    return list(value) if isinstance(value, Items) else []
