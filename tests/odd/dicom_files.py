"""DICOM files: encodings, damage and hostile content."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcyclegan.errors import ExitCode
from tests.odd.case import Case, Family, Make, converted
from tests.odd.dicom_series import same_as_plain_series
from tests.odd.inputs import every, head_series, series

_ENCODINGS = {
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "run-length": RLELossless,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000 lossless": JPEG2000Lossless,
}
_BEFORE_NAME = b"\x10\x00\x10\x00PN"
_OPEN = (
    struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
)
_CLOSE = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
_HUGE = struct.pack("<HH2sHI", 9, 0x10, b"OB", 0, 0xFFFFFFF0)


def _bytes(change: Callable[[bytes], bytes], *, syntax: UID | None = None) -> Make:
    """Change the bytes of the third file."""

    def after(paths: list[Path]) -> None:
        paths[2].write_bytes(change(paths[2].read_bytes()))

    return series(after=after) if syntax is None else series(after=after, syntax=syntax)


def _insert(extra: bytes) -> Make:
    return _bytes(lambda data: data.replace(_BEFORE_NAME, extra + _BEFORE_NAME, 1))


def _bomb(data: bytes) -> bytes:
    """Put a gigabyte of zeros, deflated twice over, behind the data set."""
    start = 132 + 12 + struct.unpack_from("<I", data, 140)[0]
    body = zlib.decompress(data[start:], -zlib.MAX_WBITS)
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = engine.compress(body)
    for _ in range(640):
        packed += engine.compress(bytes(2**20))
    return data[:start] + packed + engine.flush()


def _syntax(uid: str) -> Make:
    def after(paths: list[Path]) -> None:
        for path in paths:
            ds = dcmread(path)
            del ds.file_meta.TransferSyntaxUID
            if uid:
                ds.file_meta.TransferSyntaxUID = UID(uid)
            ds.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)

    return series(after=after)


def _bare(paths: list[Path]) -> None:
    for path in paths:
        data = path.read_bytes()
        path.write_bytes(data[132:])


def _with_links(folder: Path) -> Path:
    paths = head_series(folder / "mr")
    other = head_series(folder / "elsewhere")
    (folder / "mr" / "loop").symlink_to(folder / "mr", target_is_directory=True)
    (folder / "mr" / "self").symlink_to(folder / "mr" / "self")
    (folder / "mr" / "away").symlink_to(folder / "elsewhere", target_is_directory=True)
    (folder / "mr" / "other.dcm").symlink_to(other[0])
    os.mkfifo(folder / "mr" / "pipe")
    return paths[0].parent


def _overlaid(syntax: UID) -> Make:
    """Twelve of sixteen bits are stored, and an overlay above them."""

    def change(ds: Dataset, _: int) -> None:
        words = np.frombuffer(ds.PixelData, "<u2")
        overlay = np.where(np.arange(words.size) % 3 == 0, 0x1000, 0)
        ds.PixelData = (words | overlay).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit = 16, 15  # so that all of them are encoded

    def after(paths: list[Path]) -> None:
        for path in paths:
            ds = dcmread(path)
            ds.BitsStored, ds.HighBit = 12, 11
            ds.save_as(path)

    return series(change, after=after, syntax=syntax)


def _padded(ds: Dataset, _: int) -> None:
    words = np.frombuffer(ds.PixelData, "<u2")
    ds.PixelData = np.where(words == 0, 4095, words).astype("<u2").tobytes()
    ds.add_new("PixelPaddingValue", "US", 4095)


def _zip(folder: Path) -> Path:
    path = folder / "mr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.dcm", b"no")
    return path


def _zip_inside(paths: list[Path]) -> None:
    _zip(paths[0].parent)


def _raw_id(value: bytes) -> Make:
    """An ID whose bytes pydicom would not write."""

    def change(data: bytes) -> bytes:
        at = data.index(b"\x10\x00\x20\x00LO")
        (length,) = struct.unpack_from("<H", data, at + 6)
        padded = value + b" " * (len(value) % 2)
        head = data[: at + 6] + struct.pack("<H", len(padded)) + padded
        return head + data[at + 8 + length :]

    def after(paths: list[Path]) -> None:
        for path in paths:
            path.write_bytes(change(path.read_bytes()))

    return series(after=after)


def _undeclared(folder: Path) -> Path:
    source = _raw_id("Z\u00fcrich-7".encode())(folder)
    for path in source.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x08\x00\x05\x00CS")
        path.write_bytes(data[:at] + data[at + 8 + data[at + 6] :])
    return source


def _case(name: str, make: Make, *says: str, **more: Any) -> Case:
    return Case(name, make, f'refused, saying "{says[0]}"', says=says, **more)


def _is(name: str, make: Make, *says: str) -> Case:
    does = f'converted, with the warning "{says[0]}"' if says else "converted, the same result"
    return converted(name, make, does, says=says, check=same_as_plain_series)


def _to_dicom(name: str, make: Make, *says: str) -> Case:
    does = "refused: PatientID is not valid for DICOM" if says else "converted, inside the output"
    code = ExitCode.INPUT_REFUSED if says else ExitCode.DONE
    return Case(name, make, does, says=says, code=code, out="sct", options=("--format", "dicom"))


_LINKS = "Files that are links out of the folder were passed over"
_NO_DICOM = "Files that are not DICOM were passed over"
_NOT_READ = "cannot be read as DICOM"
_PIXELS = "the pixel data are truncated or absent"
CASES = (
    *(_is(f"encoded as {name}", series(syntax=uid)) for name, uid in _ENCODINGS.items()),
    *(
        _is(f"an overlay in unused bits, encoded as {name}", _overlaid(uid))
        for name, uid in _ENCODINGS.items()
        if name not in ("implicit", "deflated")
    ),
    *(
        _is(f"padding of 4095 around the head, encoded as {name}", series(_padded, syntax=uid))
        for name, uid in _ENCODINGS.items()
    ),
    _is("without preamble and file meta's prefix", series(after=_bare)),
    _is(
        "links out of the folder, a loop of links, a pipe",
        _with_links,
        "links out of the folder were passed over",
    ),
    _is(
        "a zip with ../ in it, beside the slices",
        series(after=_zip_inside),
        "Files that are not DICOM were passed over",
    ),
    _case("a zip with ../ in it", _zip, "a zip archive", "unpack it"),
    _case("a zip, and a folder as output", _zip, "a zip archive", "unpack it", out="sct"),
    _case("cut off in the pixel data", _bytes(lambda data: data[:-100]), _PIXELS),
    _case("cut off in the header", _bytes(lambda data: data[:400]), "IM0002"),
    _case("without pixel data", series(lambda ds, k: _cut(ds) if k == 2 else None), _PIXELS),
    *(
        _case(f"{name}, cut off", _bytes(lambda data: data[:-60], syntax=uid), "IM0002.dcm")
        for name, uid in list(_ENCODINGS.items())[2:]
    ),
    _case(
        "65535 rows and columns",
        series(every(Rows=65535, Columns=65535)),
        "at most 536870912 are read",
        bounded=True,
    ),
    _case("6000 rows and columns", series(every(Rows=6000, Columns=6000)), _PIXELS, bounded=True),
    _case(
        "a thousand million frames",
        series(every(NumberOfFrames="1000000000")),
        "without saying where each lies",
        bounded=True,
    ),
    _case("no rows", series(every(Rows=0)), "each must be at least 1"),
    _case("12 bits allocated", series(every(BitsAllocated=12)), "8, 16 or 32 bits are allocated"),
    _case("an element of 4 GB", _insert(_HUGE), "no element may be longer", bounded=True),
    _case("500 sequences, one in another", _insert(_OPEN * 500 + _CLOSE * 500), _NOT_READ),
    _case(
        "5000 sequences, one in another",
        _insert(_OPEN * 5000 + _CLOSE * 5000),
        _NOT_READ,
        bounded=True,
    ),
    _case(
        "a deflate bomb",
        _bytes(_bomb, syntax=DeflatedExplicitVRLittleEndian),
        "inflates to more than",
        bounded=True,
    ),
    _case("no transfer syntax", _syntax(""), "the transfer syntax is"),
    _case("a private transfer syntax", _syntax("1.2.840.113619.5.2"), "the transfer syntax is"),
    _case("an unknown transfer syntax", _syntax("1.2.3.4"), "the transfer syntax is"),
    _to_dicom("patient ID in UTF-8, without a character set", _undeclared),
    _to_dicom("slices of thickness 0", series(every(SliceThickness="0"))),
    _to_dicom("patient ID ../../x", series(every(PatientID="../../x"))),
    _to_dicom("patient ID /etc/x", series(every(PatientID="/etc/x"))),
    _to_dicom("patient ID with NUL", _raw_id(b"a\0b"), "PatientID", "mend the attribute"),
    _to_dicom("patient ID of 300 characters", _raw_id(b"x" * 300), "PatientID", "not valid"),
    _to_dicom("patient ID with an escape sequence", _raw_id(b"\x1b[31mred"), "PatientID"),
    _is("patient ID of 300 characters, to NIfTI", _raw_id(b"x" * 300)),
)


def _cut(ds: Dataset) -> None:
    ds.PixelData = b""


FAMILY = Family(
    "DICOM: encodings, damage and hostile content",
    converted("a good series", series(), "converted"),
    CASES,
)
