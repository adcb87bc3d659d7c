"""How large an image a JPEG, JPEG-LS or JPEG 2000 codestream declares, and of how many bits.

A decoder takes the memory that the codestream asks for, whatever the DICOM header says, so the two
are compared first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_PADDING_BYTES = 16
# A JP2 file puts a few small boxes before the codestream.
_JP2_BOXES_BYTES = 1024
# Start-of-frame markers (ITU-T T.81 B.1.1.3, T.87 C.1.1): C4, C8 and CC mean other things.
_JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True)
class Declared:
    """What a codestream's header says: its size, and the bits of a sample."""

    columns: int
    rows: int
    components: int
    precision: int


def read_codestream(data: bytes) -> Declared | None:
    """Return what the codestream's header says, None if no image header is found."""
    if data[:2] == _JPEG_START:
        return _read_jpeg(data)
    at = data.find(_J2K_START, 0, _JP2_BOXES_BYTES)
    return None if at < 0 else _read_j2k(data[at + len(_J2K_START) :])


def is_complete(data: bytes) -> bool:
    """Whether a codestream has its end marker, followed by little padding at most.

    The marker cannot occur inside: JPEG stuffs its bytes, JPEG 2000 has none above FF8F there.
    """
    return _END in data[-_PADDING_BYTES:]


def _read_j2k(siz: bytes) -> Declared | None:
    """Read the SIZ segment (ISO/IEC 15444-1 A.5.1) from its length field on."""
    layout = struct.Struct(">HHIIIIIIIIHB")
    if len(siz) < layout.size:
        return None
    _, _, right, bottom, left, top, _, _, _, _, components, depth = layout.unpack_from(siz)
    # The top bit of the depth says that samples are signed.
    return Declared(right - left, bottom - top, components, (depth & 0x7F) + 1)


def _read_jpeg(data: bytes) -> Declared | None:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length, precision, rows, columns, components = struct.unpack_from(">HBHHB", data, at + 2)
        if marker in _JPEG_FRAME_MARKERS:
            return Declared(columns, rows, components, precision)
        at += 2 + length
    return None
