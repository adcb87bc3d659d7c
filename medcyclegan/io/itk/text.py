"""The text headers of the MetaImage and NRRD files that are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from medcyclegan.geometry import FloatArray
from medcyclegan.io.itk.meta_header import META_KEYS

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
