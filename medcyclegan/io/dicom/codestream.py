"""How large an image a JPEG, JPEG-LS or JPEG 2000 codestream declares.

A decoder takes the memory that the codestream asks for, whatever the DICOM header says, so the two
are compared first.
"""

from __future__ import annotations

import struct

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_PADDING_BYTES = 16
# A JP2 file puts a few small boxes before the codestream.
_JP2_BOXES_BYTES = 1024
# Start-of-frame markers (ITU-T T.81 B.1.1.3, T.87 C.1.1): C4, C8 and CC mean other things.
_JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})

Size = tuple[int, int, int]


def codestream_size(data: bytes) -> Size | None:
    """Return (columns, rows, components), None if no image header is found."""
    if data[:2] == _JPEG_START:
        return _jpeg_size(data)
    at = data.find(_J2K_START, 0, _JP2_BOXES_BYTES)
    return None if at < 0 else _j2k_size(data[at + len(_J2K_START) :])


def is_complete(data: bytes) -> bool:
    """Whether a codestream has its end marker, followed by little padding at most.

    The marker cannot occur inside: JPEG stuffs its bytes, JPEG 2000 has none above FF8F there.
    """
    return _END in data[-_PADDING_BYTES:]


def _j2k_size(siz: bytes) -> Size | None:
    """Read the SIZ segment (ISO/IEC 15444-1 A.5.1) from its length field on."""
    layout = struct.Struct(">HHIIIIIIIIH")
    if len(siz) < layout.size:
        return None
    _, _, right, bottom, left, top, _, _, _, _, components = layout.unpack_from(siz)
    return right - left, bottom - top, components


def _jpeg_size(data: bytes) -> Size | None:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length, _, rows, columns, components = struct.unpack_from(">HBHHB", data, at + 2)
        if marker in _JPEG_FRAME_MARKERS:
            return columns, rows, components
        at += 2 + length
    return None
