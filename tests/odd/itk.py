"""MetaImage and NRRD: damaged, unusual and hostile headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import ExitCode
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.scan import ItkSourceHeader
from tests.image_factory import SHAPE
from tests.odd.case import Case, Family, Make, converted
from tests.odd.inputs import DICOM_AFFINE, head

_RAW = head(Geometry(SHAPE, DICOM_AFFINE)).astype("<i2").tobytes(order="F")
_RAW_BIG = np.frombuffer(_RAW, "<i2").astype(">i2").tobytes()
_META = b"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = -76 -92 -63
ElementSpacing = 8 8 14
DimSize = 20 24 10
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""
_NRRD = b"""NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 20 24 10
space directions: (8,0,0) (0,8,0) (0,0,14)
space origin: (-76,-92,-63)
encoding: raw
endian: little

"""


def meta(old: bytes = b"", new: bytes = b"", *, data: bytes = _RAW, beside: str = "") -> Make:
    """Make a .mha, one part of its header replaced; ``beside`` is a data file of its own."""
    return _text("scan.mha", _META, old, new, data, beside)


def nrrd(old: bytes = b"", new: bytes = b"", *, data: bytes = _RAW, beside: str = "") -> Make:
    """Make a .nrrd, one part of its header replaced."""
    return _text("scan.nrrd", _NRRD, old, new, data, beside)


def _text(name: str, header: bytes, old: bytes, new: bytes, data: bytes, beside: str) -> Make:
    assert old in header

    def make(folder: Path) -> Path:
        written = header.replace(old, new, 1) if old else header
        path = folder / "deep" / name
        path.parent.mkdir()
        if beside:
            (path.parent / beside).write_bytes(data)
        path.write_bytes(written + (b"" if beside else data))
        return path

    return make


def _packed(ending: str, damage: Any) -> Make:
    def make(folder: Path) -> Path:
        voxels = head(Geometry(SHAPE, DICOM_AFFINE)).astype(np.float32)
        path = folder / f"scan{ending}"
        volume = Volume(voxels, Geometry(SHAPE, DICOM_AFFINE), "a.u.")
        write_itk(volume, source_header=ItkSourceHeader(), to=path)
        path.write_bytes(damage(path.read_bytes()))
        return path

    return make


def _half(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _case(name: str, make: Make, *says: str, **more: Any) -> Case:
    return Case(name, make, f'refused, saying "{says[0]}"', says=says, **more)


def _is(name: str, make: Make) -> Case:
    return converted(name, make, "converted")


_DAMAGED = "the voxel data are truncated or damaged"
_DAMAGED_HEADER = "the header is damaged"
CASES = (
    _is(".nrrd", nrrd()),
    _is(".mha, compressed", _packed(".mha", bytes)),
    _is(".nrrd, compressed", _packed(".nrrd", bytes)),
    _is(".mhd with a .zraw beside it", _packed(".mhd", bytes)),
    _is("data file beside the header", meta(b"LOCAL", b"a.raw", beside="a.raw")),
    _is(
        "MetaImage, big-endian",
        meta(b"MSB = False", b"MSB = True", data=_RAW_BIG),
    ),
    Case(
        "NRRD without a space",
        nrrd(b"space: left-posterior-superior\n", b""),
        "converted, with a warning: it does not say where the patient lies",
        says=("does not say where the patient lies",),
        code=ExitCode.DONE,
    ),
    _case("MetaImage cut off", meta(data=_RAW[:-1]), _DAMAGED),
    _case("NRRD cut off", nrrd(data=_RAW[:-1]), _DAMAGED),
    _case("compressed MetaImage cut off", _packed(".mha", _half), _DAMAGED),
    _case("compressed NRRD cut off", _packed(".nrrd", _half), _DAMAGED),
    _case("only a header", meta(data=b""), _DAMAGED),
    _case("data file missing", meta(b"LOCAL", b"none.raw"), "the data file is missing"),
    _case("data file ../../etc/passwd", meta(b"LOCAL", b"../../etc/passwd"), "outside its folder"),
    _case("data file /etc/passwd", meta(b"LOCAL", b"/etc/passwd"), "outside its folder"),
    _case(
        "data file /dev/zero",
        nrrd(b"encoding", b"data file: /dev/zero\nencoding"),
        "outside its folder",
    ),
    _case("a list of data files", meta(b"LOCAL", b"LIST"), "list of data files"),
    _case(
        "a data file with a name of 5000 letters",
        meta(b"LOCAL", b"n" * 5000),
        "has 5000 characters",
    ),
    _case(
        "sizes far beyond the file",
        meta(b"20 24 10", b"900 900 900"),
        _DAMAGED,
        bounded=True,
    ),
    _case(
        "sizes of 10^15 voxels", nrrd(b"20 24 10", b"99999 99999 99999"), "at most", bounded=True
    ),
    _case("a size of 0", nrrd(b"20 24 10", b"20 0 10"), "dimensions 20 x 0 x 10"),
    _case("a size that is no number", meta(b"20 24 10", b"20 many 10"), _DAMAGED_HEADER),
    _case("three sizes in two dimensions", meta(b"NDims = 3", b"NDims = 2"), _DAMAGED_HEADER),
    _case("spacing of 0", meta(b"8 8 14", b"8 0 14"), "ElementSpacing is 0"),
    _case("spacing NaN", meta(b"8 8 14", b"8 nan 14"), _DAMAGED_HEADER),
    _case("origin 1e400", nrrd(b"-76,", b"1e400,"), _DAMAGED_HEADER),
    _case("directions of one line", nrrd(b"(0,8,0)", b"(8,0,0)"), "The affine is singular"),
    _case("ASCII voxels", nrrd(b"raw", b"ascii"), "encoding ascii"),
    _case("bzip2", nrrd(b"raw", b"bzip2"), "encoding bzip2"),
    _case("three channels", meta(b"NDims", b"ElementNumberOfChannels = 3\nNDims"), "3 channels"),
    _case("a type of unknown size", meta(b"MET_SHORT", b"MET_LONG"), "ElementType MET_LONG"),
    _case(
        "an unknown space", nrrd(b"left-posterior-superior", b"scanner-xyz"), "space scanner-xyz"
    ),
    _case("four dimensions", nrrd(b"20 24 10", b"20 24 10 2"), _DAMAGED_HEADER),
)

FAMILY = Family(
    "MetaImage and NRRD",
    _is("a good .mha", meta()),
    CASES,
)
