"""The header of an NRRD file: lines of ``field: value`` up to an empty one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from medcyclegan.core.geometry import FloatArray
from medcyclegan.io.itk.fields import (
    ItkHeader,
    Payload,
    damaged,
    data_file_beside,
    floats,
    integer,
    integers,
    not_grey,
    variant,
)
from medcyclegan.io.voxel_rules import check_shape

_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
# The way from a space to LPS. Files without a space are taken for LPS, as ITK does.
_TO_LPS = {
    **dict.fromkeys(("", "left-posterior-superior", "lps"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1.0, -1.0, 1.0)),
}
_ENDIANNESS = {"little": "<", "big": ">"}


def read_nrrd_header(start: bytes, path: Path) -> ItkHeader:
    """Check the header at the ``start`` of a file.

    Raises
    ------
    InputRefused
        If it is damaged, or of a variant that is not read.
    """
    fields, metadata, length = _fields(start, path)
    element = fields.get("type", "").lower()
    code = next((code for code, names in _TYPES.items() if element in names.split(", ")), None)
    if code is None:
        raise not_grey(path, f"type {element}")
    order = "<" if code.endswith("1") else _ENDIANNESS.get(fields.get("endian", "").lower())
    if order is None:
        raise damaged(path, "endian should be little or big")
    dtype = np.dtype(order + code)
    sizes = integers(fields.get("sizes", ""), path)
    if len(sizes) != integer(fields.get("dimension", ""), path):
        raise damaged(path, f"it has {len(sizes)} sizes, which is not its dimension")
    shape = check_shape(sizes, path)
    return ItkHeader(
        shape=shape,
        dtype=dtype,
        affine_lps=_affine_lps(fields, min(len(sizes), 3), path),
        is_placed=bool(fields.get("space")) and "space directions" in fields,
        metadata=metadata,
        payload=_payload(fields, length, math.prod(shape) * dtype.itemsize, path),
    )


def _fields(start: bytes, path: Path) -> tuple[dict[str, str], tuple[tuple[str, str], ...], int]:
    """Return the lines ``field: value`` and ``key:=value`` up to an empty one, and their length."""
    fields: dict[str, str] = {}
    metadata: list[tuple[str, str]] = []
    length = 0
    for line in start.split(b"\n"):
        length += len(line) + 1
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text:
            break
        key, mark, value = text.partition(":")
        if mark and value.startswith("="):
            metadata.append((key, re.sub(r"\\(.)", _unescaped, value[1:])))
        elif not text.startswith("#"):
            fields[key.strip().lower()] = value.strip()
    if length >= len(start) and not _data_name(fields):
        raise damaged(path, "it does not end in an empty line")
    return fields, tuple(metadata), length


def _affine_lps(fields: dict[str, str], used: int, path: Path) -> FloatArray:
    """Return (4, 4); a third axis of 1 mm is added to a 2D image, a fourth left out."""
    space = fields.get("space", "").lower()
    if space not in _TO_LPS:
        raise variant(path, f"space {space}")
    affine = np.eye(4)
    if "space directions" in fields:
        for axis, vector in enumerate(_vectors(fields, "space directions", used, path)):
            affine[:used, axis] = vector
    elif "spacings" in fields:
        spacing = floats(fields["spacings"])
        if len(spacing) < used or min(spacing) <= 0:
            raise damaged(path, f"spacings should be {used} numbers above 0")
        affine[range(used), range(used)] = spacing[:used]
    if "space origin" in fields:
        affine[:used, 3] = _vectors(fields, "space origin", used, path)[0]
    return np.diag((*_TO_LPS[space], 1.0)) @ affine


def _vectors(fields: dict[str, str], key: str, used: int, path: Path) -> list[list[float]]:
    """Return the first vectors of a field, as ``(1,0,0) (0,1,0)``, each cut to ``used`` numbers."""
    found = re.findall(r"\(([^()]*)\)", fields[key])
    count = 1 if key == "space origin" else used
    vectors = [floats(text.replace(",", " ")) for text in found]
    lengths = {len(vector) for vector in vectors}
    if len(vectors) < count or len(lengths) != 1 or min(lengths) < used:
        raise damaged(path, f"{key} should be {count} vectors of finite numbers")
    if used == 2 and lengths == {3}:
        raise variant(path, "a 2D image in a 3D space")
    return [vector[:used] for vector in vectors[:used]]


def _payload(fields: dict[str, str], length: int, byte_count: int, path: Path) -> Payload:
    encoding = fields.get("encoding", "").lower()
    lines = fields.get("line skip", fields.get("lineskip", "0"))
    skip = integer(fields.get("byte skip", fields.get("byteskip", "0")), path)
    if encoding not in ("raw", "gzip", "gz") or lines != "0" or (encoding != "raw" and skip):
        raise variant(path, f"encoding {encoding}, line skip {lines}, byte skip {skip}")
    name = _data_name(fields)
    return Payload(
        path=data_file_beside(path, name) if name else path,
        start=skip if skip < 0 else skip + (0 if name else length),
        is_packed=encoding != "raw",
        byte_count=byte_count,
    )


def _data_name(fields: dict[str, str]) -> str:
    return fields.get("data file", fields.get("datafile", ""))


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
