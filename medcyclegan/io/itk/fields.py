"""Common parts of MetaImage and NRRD headers: payload, numbers in text, refusals."""

from __future__ import annotations

import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medcyclegan.core.geometry import FloatArray
from medcyclegan.errors import InputRefused
from medcyclegan.io.held_files import open_file

_CHUNK_BYTES = 2**20
_LONGEST_NAME = 255
_ANY_DEFLATE = 47  # zlib.h: windowBits for a zlib or a gzip header, whichever is there


@dataclass(frozen=True)
class Payload:
    """Where the voxels of an image are.

    They start in ``path`` at byte ``start``, or are its last bytes where that is negative, and
    are ``byte_count`` bytes once unpacked.
    """

    path: Path
    start: int
    is_packed: bool
    byte_count: int


def data_file_beside(header: Path, name: str) -> Path:
    """Return the file that ``header`` names, which must not be just any file of the disk.

    Raises
    ------
    InputRefused
        If ``name`` is a list or pattern of files, too long, or outside the folder of the header.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise InputRefused(
            f"{header}: the voxels are in a list of data files",
            rule="one data file is read",
            remedy="write the image again with ITK or 3D Slicer, as one file",
        )
    if len(name) > _LONGEST_NAME:
        raise InputRefused(
            f"{header}: the name of the data file has {len(name)} characters",
            rule=f"at most {_LONGEST_NAME} are read, as file systems have them",
            remedy="the header is damaged: copy or export the file again",
        )
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputRefused(
            f"{header}: the data file is outside its folder",
            rule="a header and its data file are in one folder",
            remedy="copy both there, and name the data file in the header without a folder",
        )
    return header.parent / name


def read_payload(payload: Payload) -> bytes:
    """Return the unpacked bytes of the voxels.

    Raises
    ------
    InputRefused
        If there are too few, packed ones do not unpack to their number and checksum, or the file
        is missing or unreadable.
    """
    try:
        _refuse_missing(payload.path)
        with open_file(payload.path) as file:
            data = _unpack(file, payload) if payload.is_packed else _read_raw(file, payload)
    except zlib.error as error:
        raise _refusal(payload, "damaged ones") from error
    except OSError as error:
        raise InputRefused(
            f"{payload.path}: cannot be read ({error.strerror})",
            remedy="check the path and its permissions",
        ) from error
    if len(data) < payload.byte_count:
        raise _refusal(payload, f"{len(data)}")
    return data


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise InputRefused(
            f"{path}: the data file is missing",
            rule="the header names it",
            remedy="copy it to the folder of the header",
        )


def _read_raw(file: BinaryIO, payload: Payload) -> bytes:
    """Read nothing at all where the file is too short."""
    size = file.seek(0, os.SEEK_END)
    start = size - payload.byte_count if payload.start < 0 else payload.start
    if start < 0 or start + payload.byte_count > size:
        raise _refusal(payload, f"{max(size - max(start, 0), 0)}")
    file.seek(start)
    return file.read(payload.byte_count)


def _unpack(file: BinaryIO, payload: Payload) -> bytes:
    """Unpack piece by piece, and no more than is promised."""
    file.seek(payload.start)
    unpacker = zlib.decompressobj(_ANY_DEFLATE)
    data = bytearray()
    waiting = b""
    while not unpacker.eof:
        waiting = waiting or file.read(_CHUNK_BYTES)
        if not waiting:
            raise _refusal(payload, f"a truncated stream of {len(data)}")
        data += unpacker.decompress(waiting, _CHUNK_BYTES)
        waiting = unpacker.unconsumed_tail
        if len(data) > payload.byte_count:
            raise _refusal(payload, f"more than {payload.byte_count}")
    return bytes(data)


def _refusal(payload: Payload, found: str) -> InputRefused:
    return InputRefused(
        f"{payload.path}: the voxel data are truncated or damaged",
        rule=f"the header promises {payload.byte_count} bytes, there are {found}",
        remedy="copy or export the file again",
    )


@dataclass(frozen=True)
class ItkHeader:
    """A checked header.

    ``dtype`` is that of the stored voxels, byte order included; ``affine_lps`` (4, 4) leads from
    (i, j, k) to LPS mm; ``is_placed`` says whether the file tells where the patient lies.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine_lps: FloatArray
    is_placed: bool
    metadata: tuple[tuple[str, str], ...]
    payload: Payload


def floats(text: str) -> list[float]:
    """Return the numbers in ``text``; none if one of them is no finite number."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def integers(text: str, path: Path) -> tuple[int, ...]:
    """Return the whole numbers in ``text``; refuse anything else."""
    try:
        return tuple(int(word) for word in text.split())
    except ValueError as error:
        raise damaged(path, f"{text[:40]!r} stands where whole numbers should") from error


def integer(text: str, path: Path) -> int:
    """Return the first whole number in ``text``, or 0 where there is none."""
    numbers = integers(text, path)
    return numbers[0] if numbers else 0


def damaged(path: Path, what: str) -> InputRefused:
    """Make the error of a header that cannot be right."""
    return InputRefused(
        f"{path}: the header is damaged, {what}", remedy="copy or export the file again"
    )


def not_grey(path: Path, what: str) -> InputRefused:
    """Make the error of voxels that are not one real number each."""
    return InputRefused(
        f"{path}: {what}",
        rule="one real number a voxel is read, of 8 to 64 bits",
        remedy="convert the image to a grey-level one of float32",
    )


def variant(path: Path, what: str) -> InputRefused:
    """Make the error of a variant of the formats that is not read."""
    return InputRefused(
        f"{path}: {what}",
        rule="one binary data file is read, raw or compressed, in LPS, RAS or LAS",
        remedy="write the image again with ITK or 3D Slicer",
    )
