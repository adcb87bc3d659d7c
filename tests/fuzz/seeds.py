"""Whole and valid inputs that mutants are made from, small enough to be read in milliseconds."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.scan import ItkSourceHeader
from tests.dicom_enhanced import save_enhanced
from tests.dicom_factory import axial_affine, make_series
from tests.image_factory import nifti_bytes, nifti_header, ramp

SHAPE = (8, 6, 3)


@dataclass(frozen=True)
class Seed:
    """An input: files by name, and which of them is opened, none for their folder."""

    name: str
    files: dict[str, bytes]
    opened: str


def nifti_seeds() -> list[Seed]:
    """Both versions, both byte orders, packed, with extensions, a pair, float voxels."""
    seeds = [_nifti("i2"), _nifti("big", endianness=">"), _nifti("nifti2", version=2)]
    seeds += [_nifti("f4", dtype="float32"), _nifti("f8", dtype="float64")]
    plain = seeds[0].files["a.nii"]
    seeds.append(Seed("gz", {"a.nii.gz": gzip.compress(plain, mtime=0)}, "a.nii.gz"))
    header = nifti_header(SHAPE)
    header["vox_offset"] = 352 + 32
    extension = b"\x01\0\0\0" + (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"c" * 24
    voxels = ramp(SHAPE).astype("<i2").tobytes(order="F")
    seeds.append(Seed("extension", {"a.nii": header.binaryblock + extension + voxels}, "a.nii"))
    header = nifti_header(SHAPE)
    header["magic"], header["vox_offset"] = b"ni1", 0
    pair = {"a.hdr": header.binaryblock + bytes(4), "a.img": voxels}
    return [*seeds, Seed("pair", pair, "a.hdr")]


def _nifti(name: str, *, dtype: str = "int16", endianness: str = "<", version: int = 1) -> Seed:
    header = nifti_header(SHAPE, dtype=dtype, endianness=endianness, version=version)
    return Seed(name, {"a.nii": nifti_bytes(header, ramp(SHAPE))}, "a.nii")


def dicom_seeds() -> list[Seed]:
    """Series in every syntax that is read in the process itself, bare, enhanced, Japanese."""
    syntaxes = {
        "explicit": ExplicitVRLittleEndian,
        "implicit": ImplicitVRLittleEndian,
        "big": ExplicitVRBigEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
        "rle": RLELossless,
    }
    seeds = [_series(name, syntax) for name, syntax in syntaxes.items()]
    seeds.append(_series("japanese", ExplicitVRLittleEndian, changes=_japanese))
    bare = {name: data[132:] for name, data in seeds[0].files.items()}
    seeds.append(Seed("bare", bare, ""))
    with tempfile.TemporaryDirectory() as folder:
        plain = make_series(Path(folder) / "s", shape=SHAPE)
        save_enhanced([dcmread(path) for path in plain], Path(folder) / "e.dcm", order=(2, 0, 1))
        enhanced = (Path(folder) / "e.dcm").read_bytes()
        return [*seeds, Seed("enhanced", {"e.dcm": enhanced}, "e.dcm")]


def jpeg_seeds() -> list[Seed]:
    """Series that are decoded in a process of their own, which takes half a second each."""
    syntaxes = {
        "jpegls": JPEGLSLossless,
        "jpeg2000": JPEG2000Lossless,
        "jpeg": JPEGLosslessSV1,
    }
    return [_series(name, syntax, slices=1) for name, syntax in syntaxes.items()]


def _series(
    name: str,
    syntax: UID,
    *,
    slices: int = 3,
    changes: Callable[[Dataset, int], None] | None = None,
) -> Seed:
    with tempfile.TemporaryDirectory() as folder:
        shape = (SHAPE[0], SHAPE[1], slices)
        make_series(Path(folder) / "s", shape=shape, transfer_syntax=syntax, changes=changes)
        return Seed(name, _read(Path(folder) / "s"), "")


def _japanese(ds: Dataset, _: int) -> None:
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def itk_seeds() -> list[Seed]:
    """MetaImage and NRRD as we write them, with a data file apart, and uncompressed."""
    volume = Volume(ramp(SHAPE).astype(np.float32), Geometry(SHAPE, axial_affine()), "a.u.")
    metadata = ItkSourceHeader((("0010|0010", "Nobody"),))
    seeds = []
    for ending in (".mha", ".mhd", ".nrrd"):
        with tempfile.TemporaryDirectory() as folder:
            write_itk(volume, source_header=metadata, to=Path(folder) / f"a{ending}")
            seeds.append(Seed(ending, _read(Path(folder)), f"a{ending}"))
    raw = volume.voxels.astype("<f4").tobytes(order="F")
    nrrd = _text_of(seeds[2].files["a.nrrd"], b"\n\n").replace(b"gzip", b"raw")
    seeds.append(Seed("raw nrrd", {"a.nrrd": nrrd + raw}, "a.nrrd"))
    apart = nrrd.rstrip(b"\n") + b"\ndata file: a.raw\n\n"
    seeds.append(Seed("nhdr", {"a.nhdr": apart, "a.raw": raw}, "a.nhdr"))
    lines = _text_of(seeds[0].files["a.mha"], b"LOCAL\n").split(b"\n")
    kept = [line for line in lines if not line.startswith(b"CompressedDataSize")]
    mha = b"\n".join(kept).replace(b"CompressedData = True", b"CompressedData = False")
    return [*seeds, Seed("raw mha", {"a.mha": mha + raw}, "a.mha")]


def _text_of(data: bytes, end: bytes) -> bytes:
    return data[: data.index(end) + len(end)]


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Put files into a folder that exists."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
