"""How a TIFF lays out its first picture (TIFF 6.0; BigTIFF differs in the width of its fields).

Pillow decodes it. It leaves some of what the tags say to others, though: that the least value is
white (but for 8 bits), that numbers of 8 bits have a sign, and that those of 32 bits have none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from medcyclegan.io.held_files import open_file

STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

# Compressions that Pillow's build decodes, by their numbers in the file.
_DECODED = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001})
_JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
_NAMES = {50002: "JPEG XL", 34892: "lossy JPEG of raw photographs", 32809: "ThunderScan"}

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT = 258, 259, 262, 277, 339
_WIDTHS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # the types of tags that matter here
_MOST_TAGS = 4096
_SIGNED, _FLOAT = 2, 3


@dataclass(frozen=True)
class TiffLayout:
    """The tags that decide what the numbers mean.

    ``sample_format`` is 1 for whole numbers, 2 for such with a sign, 3 for floats;
    ``photometric_at`` is where the photometric interpretation stands in the file.
    """

    bits: int
    samples: int
    sample_format: int
    compression: int
    photometric: int
    photometric_at: int
    little_endian: bool
    is_big: bool

    @property
    def unread(self) -> str:
        """What of it Pillow cannot read, empty if nothing is known."""
        if self.is_big and not self.little_endian:
            return "as BigTIFF in big-endian byte order"
        if self.compression in _DECODED:
            return ""
        name = "JPEG 2000" if self.compression in _JPEG_2000 else _NAMES.get(self.compression)
        return f"compressed as {name or f'compression {self.compression}'}"

    @property
    def white_is_zero(self) -> bool:
        """Whether the least value is white."""
        return self.photometric == 0

    @property
    def is_float(self) -> bool:
        """Whether values are floats, of which none is the largest."""
        return self.sample_format == _FLOAT

    def values(self, decoded: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return grey values as the tags mean them; inverted where the least is white."""
        if self.sample_format == _SIGNED and decoded.dtype == np.uint8 and self.bits == 8:
            decoded = decoded.view(np.int8)
        elif self.sample_format == 1 and decoded.dtype == np.int32 and self.bits == 32:
            decoded = decoded.view(np.uint32)
        if not self.white_is_zero:
            return decoded
        # Pillow spreads fewer bits than 8 over all of them.
        largest = -1 if self.sample_format == _SIGNED else 2 ** max(self.bits, 8) - 1
        return np.asarray(largest - decoded.astype(np.int64)).astype(decoded.dtype)

    def black_is_zero(self, content: bytes) -> bytes:
        """Return the file with the least value told to be black, so that nobody inverts it."""
        order, at = ("<" if self.little_endian else ">"), self.photometric_at
        return content[:at] + struct.pack(f"{order}H", 1) + content[at + 2 :]


def tiff_layout(path: Path) -> TiffLayout | None:
    """Read the tags of a TIFF's first picture; None if they cannot be read."""
    try:
        with open_file(path) as file:
            return _layout(file)
    except (OSError, struct.error, ValueError, OverflowError):
        return None


def _layout(file: BinaryIO) -> TiffLayout | None:
    start = file.read(16)
    little = start[:2] == b"II"
    order, big = ("<" if little else ">"), start[2:4] in (b"+\x00", b"\x00+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    file.seek(at)
    head, entry = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    (count,) = struct.unpack(order + head, file.read(struct.calcsize(order + head)))
    size = struct.calcsize(order + entry)
    if count > _MOST_TAGS:
        return None
    found: dict[int, int] = {}
    photometric_at = 0
    first_entry = file.tell()
    for number in range(count):
        tag, kind, length, value = struct.unpack(order + entry, file.read(size))
        width = _WIDTHS.get(kind)
        if width is None or tag not in (_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT):
            continue
        if tag == _PHOTOMETRIC:
            photometric_at = first_entry + (number + 1) * size - len(value)
        if length * struct.calcsize(order + width) > len(value):  # it stands elsewhere
            here = file.tell()
            file.seek(struct.unpack(order + ("Q" if big else "I"), value)[0])
            value = file.read(8)
            file.seek(here)
        (found[tag],) = struct.unpack_from(order + width, value)
    if not photometric_at:
        return None
    return TiffLayout(
        bits=found.get(_BITS, 1),
        samples=found.get(_SAMPLES, 1),
        sample_format=found.get(_FORMAT, 1),
        compression=found.get(_COMPRESSION, 1),
        photometric=found[_PHOTOMETRIC],
        photometric_at=photometric_at,
        little_endian=little,
        is_big=big,
    )
