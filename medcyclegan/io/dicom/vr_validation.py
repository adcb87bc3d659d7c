"""Validation against value representations, and copies of elements that pass it."""

from __future__ import annotations

import logging
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import validate_value

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.attribute_access import readable
from medcyclegan.io.dicom.derived_attributes import CODE, WINDOW

LONG_STRING = 64  # the most characters of an LO value

_TEXT = frozenset({"LO", "SH", "PN", "CS", "UI", "DS", "IS", "DA", "TM", "AS"})
_NUMBERS = frozenset({"DS", "IS"})


def refuse_invalid(ds: Dataset) -> None:
    """Raise InputRefused at the first value that DICOM does not allow, sequences included.

    The message names the attribute and not its value, which may be the patient's name.
    """
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                refuse_invalid(item)
        elif not is_valid(element):
            raise InputRefused(
                f"{element.keyword} holds a value that is not valid for DICOM",
                rule=f"{element.VR} allows neither other characters nor more of them or of values",
                remedy="mend the attribute in the source series, or write NIfTI",
            )


def refuse_odd_text(name: str, text: str, *, longest: int) -> None:
    """Raise MedcycleganError unless a text of our own fits into any DICOM data set.

    Only the printable characters of ASCII are in every character set; a backslash parts values.
    """
    if len(text) > longest or "\\" in text or not (text.isascii() and text.isprintable()):
        raise MedcycleganError(
            f"The {name} {text!r}",
            rule=f"at most {longest} printable ASCII characters are allowed, without a backslash",
        )


def is_valid(element: DataElement) -> bool:
    """Return whether type, number, length and characters of the values are allowed."""
    if dictionary_VR(element.tag) != element.VR:
        return False
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if dictionary_VM(element.tag) == "1" and len(values) > 1:
        return False
    return all(_is_valid_value(element.VR, value) for value in values)


def _is_valid_value(vr: str, value: Any) -> bool:
    if value is None:
        return True
    if vr in _TEXT:
        # Numbers and names as the text that will be written.
        value = getattr(value, "original_string", str(value)) if vr in _NUMBERS else str(value)
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            return False
    try:
        validate_value(vr, value, RAISE)
    except ValueError:
        return False
    return True


_log = logging.getLogger(__name__)


def copy_required(source: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """Return those attributes of ``source`` that it has, values untouched.

    Elements are taken as they are, not set anew: so decimal strings and encoded names keep the
    characters that they were read with.

    Raises
    ------
    InputRefused
        If a value cannot be understood; the message does not show it.
    """
    ds = Dataset()
    for keyword in keywords:
        if keyword not in source:
            continue
        element = readable(source, keyword)
        if element is None or not is_valid(element):
            raise InputRefused(
                f"{keyword} of the source is not valid for DICOM",
                rule="a derived series carries it unchanged",
                remedy="mend the attribute in the source series, or write NIfTI",
            )
        ds.add(element)
    return ds


def copy_optional(source: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """Return those attributes of ``source`` that have a valid value; log the invalid ones."""
    log_invalid(source, keywords)
    return copy_valid(source, keywords)


def log_invalid(source: Dataset, keywords: tuple[str, ...]) -> None:
    """Log which of those attributes ``source`` has with a value that DICOM does not allow."""
    valid = copy_valid(source, keywords)
    for keyword in keywords:
        if keyword in source and keyword not in valid:
            _log.warning("%s of the source is not valid for DICOM: left out", keyword)


def copy_valid(source: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """Return those attributes of ``source`` that have a valid value."""
    ds = Dataset()
    for keyword in keywords:
        element = readable(source, keyword) if keyword in source else None
        if element is not None and is_valid(element):
            ds.add(element)
    return ds


def copy_window(source: Dataset) -> Dataset:
    """Return the window that ``source`` is shown in, nothing if it has none that DICOM allows."""
    ds = copy_valid(source, WINDOW)
    if "WindowCenter" not in ds or "WindowWidth" not in ds:
        return Dataset()
    element = ds["WindowWidth"]
    widths = element.value if element.VM > 1 else [element.value]
    # PS3.3 C.11.2.1.2: at least 1 if it is linear, above 0 for the other functions.
    least = 1.0 if ds.get("VOILUTFunction") in (None, "", "LINEAR") else 0.0
    fits = all(w is not None and float(w) >= least and float(w) > 0.0 for w in widths)
    return ds if fits else Dataset()


def copy_codes(source: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """Return those code sequences of ``source`` that it has, of their items the code alone.

    Raises
    ------
    InputRefused
        If a value of a code cannot be understood.
    """
    ds = Dataset()
    for keyword in keywords:
        element = readable(source, keyword)
        items = None if element is None else element.value
        if items and isinstance(items, Sequence):
            setattr(ds, keyword, [copy_required(item, CODE) for item in items])
    return ds
