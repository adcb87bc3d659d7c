"""Whether the values of a data set keep the limits of their value representations."""

from __future__ import annotations

from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

from medcyclegan.errors import InputRefused, MedcycleganError

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
