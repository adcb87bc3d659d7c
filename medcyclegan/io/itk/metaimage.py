"""MetaImage headers, read and written: lines of ``key = value``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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

# MET_LONG is left out: it has 4 or 8 bytes, depending on the machine that wrote it.
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
}
# Several names for one thing each.
_PLACES = ("Offset", "Position", "Origin")
_SPACINGS = ("ElementSpacing", "ElementSize")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
# What MetaImage itself defines; every other key is metadata.
META_KEYS = {
    *(*_PLACES, *_SPACINGS, *_MATRICES, *_BIG_ENDIAN),
    *("ObjectType", "ObjectSubType", "NDims", "Name", "ID", "ParentID", "Color", "Comment"),
    *("BinaryData", "CompressedData", "CompressedDataSize", "CompressionLevel", "HeaderSize"),
    *("CenterOfRotation", "AnatomicalOrientation", "DistanceUnits", "DimSize", "Modality"),
    *("ElementType", "ElementNBits", "ElementNumberOfChannels", "ElementDataFile"),
    *("ElementMin", "ElementMax", "SequenceID", "AcquisitionDate"),
}


def read_meta_header(start: bytes, path: Path) -> ItkHeader:
    """Check the header at the ``start`` of a file.

    Raises
    ------
    InputRefused
        If it is damaged, or of a variant that is not read.
    """
    fields, length = _fields(start, path)
    element = fields.get("ElementType", "")
    channels = fields.get("ElementNumberOfChannels", "1")
    if element not in _TYPES or channels != "1":
        raise not_grey(path, f"ElementType {element} with {channels} channels")
    if not _is_true(fields.get("BinaryData", "True")):
        raise variant(path, "BinaryData = False")
    dimension = integer(fields.get("NDims", ""), path)
    _numbers(fields, ("DimSize",), dimension, path)
    shape = check_shape(integers(fields.get("DimSize", ""), path), path)
    is_big = any(_is_true(fields.get(key, "")) for key in _BIG_ENDIAN)
    dtype = np.dtype((">" if is_big else "<") + _TYPES[element])
    return ItkHeader(
        shape=shape,
        dtype=dtype,
        affine_lps=_affine_lps(fields, dimension, path),
        is_placed=any(key in fields for key in _MATRICES),
        metadata=tuple((key, text) for key, text in fields.items() if key not in META_KEYS),
        payload=_payload(fields, length, math.prod(shape) * dtype.itemsize, path),
    )


def _fields(start: bytes, path: Path) -> tuple[dict[str, str], int]:
    """Return the lines ``key = value`` up to ElementDataFile, the last one, and their length."""
    fields: dict[str, str] = {}
    length = 0
    for line in start.split(b"\n"):
        length += len(line) + 1
        key, _, value = line.decode("utf-8", "replace").partition("=")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields, length
    raise damaged(path, "it has no line ElementDataFile")


def _numbers(
    fields: dict[str, str], keys: tuple[str, ...], count: int, path: Path
) -> list[float] | None:
    """Return the numbers of the first key that is there, None if none is."""
    for key in keys:
        if key in fields:
            numbers = floats(fields[key])
            if len(numbers) != count or count == 0:
                raise damaged(path, f"{key} should be {count} finite numbers")
            return numbers
    return None


def _affine_lps(fields: dict[str, str], dimension: int, path: Path) -> FloatArray:
    """Return (4, 4); a third axis of 1 mm is added to a 2D image, a fourth left out."""
    spacing = _numbers(fields, _SPACINGS, dimension, path) or [1.0] * dimension
    origin = _numbers(fields, _PLACES, dimension, path) or [0.0] * dimension
    matrix = _numbers(fields, _MATRICES, dimension**2, path) or np.eye(dimension).tolist()
    if min(spacing) <= 0:
        raise damaged(path, f"ElementSpacing is {min(spacing):g}, and should be above 0")
    used = min(dimension, 3)
    affine = np.eye(4)
    # A row of the matrix is the direction of an axis.
    directions = np.reshape(matrix, (dimension, dimension)).T[:used, :used]
    affine[:used, :used] = directions * spacing[:used]
    affine[:used, 3] = origin[:used]
    return affine


def _payload(fields: dict[str, str], length: int, byte_count: int, path: Path) -> Payload:
    name = fields["ElementDataFile"]
    is_local = name.upper() == "LOCAL"
    is_packed = _is_true(fields.get("CompressedData", "False"))
    # -1 says that the voxels are the last bytes of the file.
    skip = integer(fields.get("HeaderSize", "0"), path)
    if is_packed and skip:
        raise variant(path, f"CompressedData = True with HeaderSize = {skip}")
    return Payload(
        path=path if is_local else data_file_beside(path, name),
        start=length if is_local and skip >= 0 else skip,
        is_packed=is_packed,
        byte_count=byte_count,
    )


def _is_true(text: str) -> bool:
    return text[:1].upper() in ("T", "1", "Y")


# By numpy's code.
_META_TYPES = {"u1": "MET_UCHAR", "i2": "MET_SHORT", "f4": "MET_FLOAT"}
_NRRD_TYPES = {"u1": "unsigned char", "i2": "short", "f4": "float"}


@dataclass(frozen=True)
class ItkText:
    """What a header says of packed little-endian voxels.

    ``code`` is numpy's of their type, as ``"i2"``; ``affine_lps`` (4, 4) leads from (i, j, k) to
    LPS mm and is not sheared.
    """

    shape: tuple[int, int, int]
    code: str
    affine_lps: FloatArray
    metadata: tuple[tuple[str, str], ...]

    def meta(self, *, packed_bytes: int, data_name: str = "LOCAL") -> bytes:
        """Return the header of a MetaImage, whose voxels follow or are in ``data_name``."""
        spacing = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        # A row of the matrix is the direction of an axis.
        matrix = (self.affine_lps[:3, :3] / spacing).T.ravel()
        lines = [
            "ObjectType = Image",
            "NDims = 3",
            "BinaryData = True",
            "BinaryDataByteOrderMSB = False",
            "CompressedData = True",
            f"CompressedDataSize = {packed_bytes}",
            f"TransformMatrix = {_joined(matrix)}",
            f"Offset = {_joined(self.affine_lps[:3, 3])}",
            "CenterOfRotation = 0 0 0",
            f"ElementSpacing = {_joined(spacing)}",
            f"DimSize = {_sizes(self.shape)}",
            *(f"{key} = {value}" for key, value in self._entries() if key not in META_KEYS),
            f"ElementType = {_META_TYPES[self.code]}",
            f"ElementDataFile = {data_name}",
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    def nrrd(self) -> bytes:
        """Return the header of an NRRD file, whose voxels follow, packed by gzip."""
        *directions, origin = (f"({_joined(column, ',')})" for column in self.affine_lps[:3].T)
        lines = [
            "NRRD0004",
            f"type: {_NRRD_TYPES[self.code]}",
            "dimension: 3",
            "space: left-posterior-superior",
            f"sizes: {_sizes(self.shape)}",
            f"space directions: {' '.join(directions)}",
            "kinds: domain domain domain",
            "endian: little",
            "encoding: gzip",
            f"space origin: {origin}",
            # A backslash begins an escape in NRRD.
            *(f"{key}:={value}".replace("\\", "\\\\") for key, value in self._entries()),
            "",
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    def _entries(self) -> Iterator[tuple[str, str]]:
        """Make each entry a line: breaks become blanks; one that cannot be told is left out."""
        for key, value in self.metadata:
            line = " ".join(value.split())
            if line and key.strip() and not set(key) & set("=:#\\\r\n"):
                yield key, line


def _joined(numbers: Iterable[float], between: str = " ") -> str:
    """Write numbers so that they read back to the last bit."""
    return between.join(repr(float(number)) for number in numbers)


def _sizes(shape: tuple[int, int, int]) -> str:
    return " ".join(str(size) for size in shape)
