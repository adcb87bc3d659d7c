"""Damage that knows the lines and numbers of a MetaImage or NRRD header."""

from __future__ import annotations

import re
from random import Random

from tests.fuzz.mutate_bytes import mutate_bytes

_ODD_NUMBERS = ("0", "-1", "1", "-0", "nan", "inf", "-inf", "1e400", "1e-400", "1e308", "4e9")
_ODD_NUMBERS += ("99999999999999999999", "9" * 5000, "1_0", "0x10", "٣", "²", "1.5", "", "1,5")
_ODD_NUMBERS += ("2147483648", "65536", "8 6 3", "none", "(1,0,0)", "()", "(", "\x00", "1e5")
_ODD_LINES = (
    "NDims = 0", "NDims = 1", "NDims = 4", "NDims = -3", "NDims = 1000000", "dimension: 2",
    "DimSize = 8 6 3 1", "sizes: 8 6 3 1", "sizes: 0 0 0", "sizes: 99999 99999 99999",
    "ElementDataFile = LOCAL", "ElementDataFile = LIST", "ElementDataFile = a%03d.raw 1 3 1",
    "ElementDataFile = ../../etc/passwd", "ElementDataFile = /etc/passwd", "ElementDataFile =",
    "ElementDataFile = .", "ElementDataFile = a\x00b", "data file: /dev/zero", "data file: .",
    "data file: a\x00b", "data file: " + "n" * 5000, "ElementDataFile = " + "n" * 5000,
    "data file: LIST", "encoding: ascii", "encoding: raw", "encoding: bzip2", "line skip: 5",
    "byte skip: -1", "byte skip: 999999999999", "byte skip: -999", "HeaderSize = -1",
    "HeaderSize = -2", "HeaderSize = 99999999999999999999", "CompressedData = True",
    "CompressedData = False", "ElementType = MET_LONG", "ElementType = MET_STRING",
    "ElementNumberOfChannels = 3", "type: block", "type: uchar", "type: double",
    "endian: middle", "space: scanner-xyz", "space: ras", "space dimension: 3",
    "space directions: none (1,0,0) (0,1,0)", "space directions: (1,0) (0,1)",
    "space directions: (1e308,1e308,1e308) (1e308,1e308,1e308) (1,0,1e308)",
    "space directions: (0,0,0) (0,0,0) (0,0,0)", "spacings: nan nan nan", "spacings: 0 0 0",
    "ElementSpacing = 0 0 0", "ElementSpacing = 1e-308 1e-308 1e-308", "Offset = 1e308 1e308 1e308",
    "TransformMatrix = 1 1 1 1 1 1 1 1 1", "TransformMatrix = 0 0 0 0 0 0 0 0 0",
    "key:=value\\", "\\n:=\\x", ":", ":=", "=", "# comment", "", "\r", "\ud7ff",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d[\d.e+-]*")


def mutate_itk(rng: Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """Damage one file of an input: its bytes, or lines and numbers of its header."""
    name = rng.choice(sorted(files))
    data = files[name]
    is_header = b"NDims" in data[:600] or data[:4] == b"NRRD"
    if rng.random() < 0.25 or not is_header:
        return {**files, name: mutate_bytes(rng, data)}
    header, end, body = _parted(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        header = rng.choice((_change_number, _change_lines, mutate_bytes))(rng, header)
    return {**files, name: header + end + body}


def _parted(data: bytes) -> tuple[bytes, bytes, bytes]:
    for end in (b"\nElementDataFile", b"\n\n"):
        if end in data:
            return data.partition(end)
    return data, b"", b""


def _change_number(rng: Random, header: bytes) -> bytes:
    found = list(_NUMBER.finditer(header))
    if not found:
        return header
    number = rng.choice(found)
    odd = rng.choice(_ODD_NUMBERS).encode()
    return header[: number.start()] + odd + header[number.end() :]


def _change_lines(rng: Random, header: bytes) -> bytes:
    lines = header.split(b"\n")
    at = rng.randrange(len(lines))
    action = rng.randrange(4)
    if action == 0:
        del lines[at]
    elif action == 1:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif action == 2:
        lines.insert(at, rng.choice(_ODD_LINES).encode())
    else:
        lines[at] = rng.choice(_ODD_LINES).encode()
    return b"\n".join(lines)
