"""Attribute access without trust: values of a data set, or an error that names them.

pydicom converts values when they are first asked for; it may warn then, or raise almost anything.
Both end here: warnings are kept from screen and log, errors become ``InputRefused``. No message
quotes the value of a text attribute, as it may be a patient's.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from medcyclegan.errors import InputRefused

# What pydicom was seen to raise for damaged files. MemoryError is left out on purpose: sizes are
# checked before memory is taken.
PYDICOM_ERRORS = (
    BytesLengthException,
    InvalidDicomError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# The limit of most texts in DICOM, and of the names of UIDs.
_LONGEST_SHOWN = 64
_SHOWN = re.compile(r"[\w .\\]*")

_REPAIR = "repair the file or export it again"

_PYDICOM_LOGGERS = tuple(
    logging.getLogger(name) for name in ("pydicom", "pydicom.pixels.decoders.base")
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings about odd values from screen and log: they quote the values."""

    def drop(record: logging.LogRecord) -> bool:
        return False

    # A filter of its own for every call, so that two threads do not end each other's silence.
    for logger in _PYDICOM_LOGGERS:
        logger.addFilter(drop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in _PYDICOM_LOGGERS:
            logger.removeFilter(drop)


def uid_name(uid: str) -> str:
    """Return the name that PS3.6 gives a UID, else the UID itself, as messages may show it."""
    name = str(UID(uid, validation_mode=IGNORE).name)
    return shown(uid) if name == uid else name


def readable(ds: Dataset, keyword: str) -> DataElement | None:
    """Return the element; None if it is absent, or its bytes are nothing that its type allows."""
    try:
        with quiet():
            return ds[keyword]
    except PYDICOM_ERRORS:
        return None


def raw_value(ds: Dataset, keyword: str, path: Path) -> Any:
    """Return the value of ``keyword`` as pydicom gives it, None if absent or empty."""
    if keyword not in ds:  # most that is asked for is, and silence takes longer than the look
        return None
    try:
        with quiet():
            value = ds.get(keyword)
    except PYDICOM_ERRORS as error:
        raise InputRefused(
            f"{path}: {keyword} cannot be decoded",
            rule="its value must fit its value representation",
            remedy=_REPAIR,
        ) from error
    return None if value is None or value == "" else value


def text(ds: Dataset, keyword: str, path: Path) -> str:
    """Return a text value without padding, several values joined by a backslash."""
    value = raw_value(ds, keyword, path)
    if isinstance(value, (bytes, Sequence)):
        raise InputRefused(f"{path}: {keyword} is no text", rule="it must be", remedy=_REPAIR)
    if isinstance(value, (list, MultiValue)):
        return "\\".join(str(part) for part in value)
    return "" if value is None else str(value).strip(" \0")


def private_value(ds: Dataset, group: int, element: int, creator: str) -> str:
    """Return a private value as text, empty if its block is not there or it cannot be read.

    ``element`` is the place in the block that the maker's name reserves (PS3.5 7.8.1).
    """
    try:
        with quiet():
            value = ds.private_block(group, creator)[element].value
    except PYDICOM_ERRORS:
        return ""
    if isinstance(value, bytes):  # of unknown type, in implicit VR or after a converter
        value = value.decode("latin-1")
    if isinstance(value, (list, MultiValue)):
        return "\\".join(str(part) for part in value)
    return str(value).strip(" \0")


def shown(value: str, *, is_code: bool = True) -> str:
    """Return a text as messages may show it; a code or UID, or one line of free text.

    Where a length is damaged, a value may hold anything that follows it, the patient's name and
    control characters too: what cannot be such a text is not shown.
    """
    is_fit = _SHOWN.fullmatch(value) if is_code else value.isprintable()
    if is_fit and len(value) <= _LONGEST_SHOWN:
        return value or "none"
    return "(not shown: too long, or with odd characters)"


def numbers(ds: Dataset, keyword: str, path: Path) -> tuple[float, ...]:
    """Return finite numbers, an empty tuple if the attribute is absent or empty."""
    value = raw_value(ds, keyword, path)
    if value is None:
        return ()
    parts = value if isinstance(value, (list, tuple, MultiValue)) else [value]
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise InputRefused(
            f"{path}: {keyword} is no number", rule="it must be one", remedy=_REPAIR
        ) from error
    if not all(math.isfinite(part) for part in found):
        raise InputRefused(
            f"{path}: {keyword} is {found}", rule="it must be finite", remedy=_REPAIR
        )
    return found


def number(ds: Dataset, keyword: str, path: Path) -> float | None:
    """Return one finite number, None if the attribute is absent or empty."""
    found = numbers(ds, keyword, path)
    return found[0] if found else None


def whole(ds: Dataset, keyword: str, path: Path, *, default: int) -> int:
    """Return a whole number, ``default`` if the attribute is absent or empty."""
    found = number(ds, keyword, path)
    return default if found is None else int(found)
