"""NIfTI files that are damaged, cut off or something else."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np

from tests.odd.case import Case, Family, Make, converted
from tests.odd.inputs import ChangeBytes, content, dims, fields, head, nifti

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)
_IMAGE = head().astype(np.float32)
_SPECK = np.zeros_like(_IMAGE)
_SPECK[10, 12, 5] = 100


def _zipped(**options: Any) -> Make:
    return nifti(name="scan.nii.gz", **options)


def _flip(position: float) -> ChangeBytes:
    def damage(data: bytes) -> bytes:
        at = int(len(data) * position) if position < 1 else len(data) - int(position)
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]

    return damage


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _with(values: float, share: float) -> np.ndarray:
    voxels = _IMAGE.copy()
    voxels.reshape(-1)[: int(share * voxels.size)] = values
    return voxels


def _bomb(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data) + bytes(2**27), 1, mtime=0)


def _case(name: str, make: Make, *says: str, bounded: bool = False) -> Case:
    return Case(name, make, f'refused, saying "{says[0]}"', says=says, bounded=bounded)


_GZ = "the gzip data are truncated or damaged"
_SHORT = "the file is truncated or its header is damaged"
CASES = (
    _case("gzip cut off in the middle", _zipped(damage=_half), _GZ),
    _case("gzip without its last byte", _zipped(damage=lambda data: data[:-1]), _GZ),
    _case("gzip with a byte changed inside", _zipped(damage=_flip(0.5)), "damaged"),
    _case("gzip with a wrong checksum", _zipped(damage=_flip(6.0)), _GZ),
    _case("gzip in a gzip", _zipped(damage=gzip.compress), "a gzip file inside another"),
    _case(
        "gzip bomb behind the voxels",
        _zipped(damage=_bomb),
        "bytes follow the last voxel",
        bounded=True,
    ),
    _case("uncompressed, cut off in the middle", nifti(damage=_half), _SHORT),
    _case("uncompressed, one byte short", nifti(damage=lambda data: data[:-1]), _SHORT),
    _case("the header alone", nifti(damage=lambda data: data[:348]), _SHORT),
    _case("half a header", nifti(damage=lambda data: data[:200]), _SHORT),
    _case("empty file", content(b""), "the file is empty"),
    _case("text named .nii.gz", content(b"notes about the scan\n" * 40), "it holds text"),
    _case("PNG named .nii.gz", content(_PNG), "it holds a PNG image"),
    _case("JPEG named .nii", content(b"\xff\xd8\xff\xe0" + bytes(500), "a.nii"), "a JPEG image"),
    _case("HDF5 (MINC) named .nii", content(b"\x89HDF" + bytes(500), "a.nii"), "an HDF5 file"),
    _case("zip archive named .nii.gz", content(b"PK\x03\x04" + bytes(500)), "a zip archive"),
    _case(
        "Analyze 7.5",
        nifti(fields(magic=b"")),
        "an Analyze 7.5 header or a damaged one",
        "does not say left from right",
    ),
    _case("half of a pair, header without image", nifti(fields(magic=b"ni1")), "a file beside it"),
    _case("size of the header that is none", nifti(fields(sizeof_hdr=0)), "not a NIfTI file"),
    _case(
        "NIfTI-2 sent as text, its line ends changed",
        nifti(fields(eol_check=(10, 10, 26, 10)), version=2),
        "the line ends in the NIfTI-2 header are changed",
    ),
    _case(
        "dimensions of 32767 x 32767 x 32767",
        nifti(dims(3, 32767, 32767, 32767)),
        "at most 1073741824 voxels are read",
        bounded=True,
    ),
    _case("dimensions far beyond the file", nifti(dims(3, 999, 999, 999)), _SHORT, bounded=True),
    _case(
        "dimensions far beyond a gzip",
        _zipped(change=dims(3, 999, 999, 999)),
        _SHORT,
        bounded=True,
    ),
    _case(
        "NIfTI-2 with dimensions of 2^62",
        nifti(dims(3, 2**62, 2**62, 2**62), version=2),
        "at most 1073741824 voxels are read",
        bounded=True,
    ),
    _case("a dimension of 0", nifti(dims(3, 20, 0, 10)), "dimensions 20 x 0 x 10"),
    _case("a negative dimension", nifti(dims(3, -20, 24, 10)), "dimensions -20 x 24 x 10"),
    _case("no dimensions", nifti(dims(0, 20, 24, 10)), "dimensions missing"),
    _case("nine dimensions", nifti(dims(9, 20, 24, 10)), "dimensions missing"),
    _case("one dimension", nifti(dims(1, 4800)), "dimensions 4800", "two or three axes"),
    _case("voxels that start before the file", nifti(fields(vox_offset=-16)), "vox_offset -16"),
    _case("voxels that start nowhere", nifti(fields(vox_offset=np.nan)), "vox_offset nan"),
    _case(
        "voxels that start at 60 MB of 10 kB",
        nifti(fields(vox_offset=60e6)),
        _SHORT,
        bounded=True,
    ),
    _case("infinite slope", nifti(fields(scl_slope=np.inf)), "scl_slope inf"),
    _case("infinite intercept", nifti(fields(scl_inter=np.inf)), "scl_inter inf"),
    _case("all voxels NaN", nifti(voxels=_with(np.nan, 1.0), dtype="float32"), "4800 of 4800"),
    _case(
        "a third of the voxels NaN",
        nifti(voxels=_with(np.nan, 1 / 3), dtype="float32"),
        "1600 of 4800 voxels are NaN or infinite",
        "at most 25%",
    ),
    _case("constant", nifti(voxels=np.full_like(_IMAGE, 7)), "every voxel has the value 7"),
    _case("all zero", nifti(voxels=np.zeros_like(_IMAGE)), "every voxel has the value 0"),
    _case(
        "values beyond float32",
        nifti(voxels=_IMAGE.astype(np.float64) * 1e300, dtype="float64"),
        "cannot be held as float32",
    ),
    _case("colour (RGB)", nifti(fields(datatype=128)), "type 128 (RGB)", "grey-level"),
    _case("colour (RGBA)", nifti(fields(datatype=2304)), "type 2304 (RGBA)"),
    _case("complex numbers", nifti(fields(datatype=32)), "type 32 (complex64)"),
    _case("one bit a voxel", nifti(fields(datatype=1)), "type 1 (1 bit)"),
    _case("128 bit floats", nifti(fields(datatype=1536)), "type 1536 (float128)"),
    _case("a type that is not defined", nifti(fields(datatype=999)), "type 999"),
    _case(
        "four dimensions with three volumes",
        nifti(voxels=np.stack([head()] * 3, axis=3)),
        "3 volumes",
        "extract one volume",
    ),
    _case(
        "a vector at each voxel (five dimensions)",
        nifti(voxels=np.stack([head()] * 3, axis=3)[:, :, :, None]),
        "3 volumes or components",
    ),
    _case("noise", nifti(voxels=np.random.default_rng(1).integers(0, 99, (20, 24, 10))), "noise"),
    _case("a CT given as MR", nifti(voxels=_IMAGE * 10 - 1000), "looks like a CT in HU"),
    _case(
        "a speck instead of a body",
        nifti(voxels=_SPECK),
        "looks like noise",
    ),
)

FAMILY = Family(
    "NIfTI: damaged, cut off, or something else",
    converted("a good file, 20 x 24 x 10 voxels", nifti(), "converted"),
    CASES,
)
