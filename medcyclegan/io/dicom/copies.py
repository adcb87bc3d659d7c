"""Take elements over from a source as they are: the same characters, or not at all."""

from __future__ import annotations

import logging

from pydicom import Dataset
from pydicom.sequence import Sequence

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.tags import CODE, WINDOW
from medcyclegan.io.dicom.valid import is_valid
from medcyclegan.io.dicom.values import readable

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
