"""NIfTI files, read into a volume and its header, and written with the source's header."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import CannotWrite, InputRefused, UsageError
from medcyclegan.io.atomic import atomic_image
from medcyclegan.io.byte_source import ByteSource, open_bytes
from medcyclegan.io.nifti.header import (
    Extensions,
    data_offset,
    from_source_header,
    header_geometry,
    is_pair,
    make_single,
    read_extensions,
    read_header,
    scaling,
    shorten_quaternion,
    stored_dtype,
    to_source_header,
)
from medcyclegan.io.scan import NiftiSourceHeader, Scan, SourceHeader
from medcyclegan.io.voxel_rules import memory_refusals, mend_voxels, stored_voxels, to_float32

# Voxels are turned into float32 in pieces, so that an image of 64 bits is never held as such.
_VOXELS_AT_ONCE = 2**20


def read_nifti(path: Path, *, may_be_constant: bool = False) -> Scan:
    """Read ``.nii``, ``.nii.gz``, or a pair of ``.hdr`` and ``.img`` by either of its names.

    The unit of the volume is ``"a.u."`` and the modality empty, as NIfTI does not tell them.
    What was mended or assumed is in the scan's warnings. The affine is the header's own, bit for
    bit, in mm. Only a mask ``may_be_constant``.

    Raises
    ------
    InputRefused
        If the file is damaged, or is no image of one volume of real numbers.
    DeviceError
        If memory does not suffice.
    """
    with memory_refusals(path):
        with open_bytes(_header_path(path)) as source:
            header = read_header(source)
            # All that the header says is checked before anything is read by it.
            geometry, warnings = header_geometry(header, source.path)
            voxels, extensions, more = _read_body(source, header, geometry.shape)
        said, mended = mend_voxels(voxels, path, may_be_constant=may_be_constant)
    volume = Volume(voxels.reshape(geometry.shape, order="F"), geometry, "a.u.")
    source_header = to_source_header(header, extensions)
    header_path = _header_path(path)
    return Scan(
        volume,
        source_header,
        source=path,
        warnings=(*warnings, *more, *said),
        files=(header_path, _image_path(header_path)) if is_pair(header) else (header_path,),
        mended=None if mended is None else mended.reshape(geometry.shape, order="F"),
    )


def _read_body(
    source: ByteSource, header: Nifti1Header, shape: tuple[int, int, int]
) -> tuple[FloatVoxels, Extensions, list[str]]:
    """Read all that follows the header: voxels (n,), extensions and warnings."""
    offset = data_offset(header, source.path)
    if not is_pair(header):
        _refuse_short(source, header, offset, shape)
        extensions, warnings = read_extensions(source, header, offset)
        voxels, more = _read_voxels(source, header, shape)
        return voxels, extensions, warnings + more
    extensions, warnings = read_extensions(source, header, offset)
    with open_bytes(_image_path(source.path)) as image:
        _refuse_short(image, header, offset, shape)
        image.exactly(offset)
        voxels, more = _read_voxels(image, header, shape)
    return voxels, extensions, warnings + more


def _refuse_short(
    source: ByteSource, header: Nifti1Header, offset: int, shape: tuple[int, int, int]
) -> None:
    """Refuse a header that asks for more than the file can hold, before memory is taken."""
    needed = offset + math.prod(shape) * stored_dtype(header, source.path).itemsize
    if needed > source.most_bytes:
        source.refuse_short(needed)


def _read_voxels(
    source: ByteSource, header: Nifti1Header, shape: tuple[int, int, int]
) -> tuple[FloatVoxels, list[str]]:
    dtype = stored_dtype(header, source.path)
    slope, intercept = scaling(header, source.path)
    voxels = np.empty(math.prod(shape), dtype=np.float32)
    for first in range(0, voxels.size, _VOXELS_AT_ONCE):
        piece = voxels[first : first + _VOXELS_AT_ONCE]
        stored = np.frombuffer(source.exactly(piece.size * dtype.itemsize), dtype=dtype)
        piece[:] = to_float32(stored, slope=slope, intercept=intercept, path=source.path)
    rest = source.count_rest()
    return voxels, [f"{rest} bytes after the last voxel are not read"] if rest else []


def _header_path(path: Path) -> Path:
    return _partner(path, ".img", ".hdr")


def _image_path(header_path: Path) -> Path:
    image = _partner(header_path, ".hdr", ".img")
    if image == header_path:
        raise InputRefused(
            f"{header_path}: the header says that the voxels are in a file beside it",
            rule="such a pair is named .hdr and .img",
            remedy="rename the header to .hdr, or convert the pair to .nii.gz",
        )
    return image


def _partner(path: Path, own: str, other: str) -> Path:
    """Return the file of the pair that ends in ``other``, compressed as ``path`` or not."""
    zipped = path.suffix.lower() == ".gz"
    plain = path.with_suffix("") if zipped else path
    if plain.suffix.lower() != own:
        return path
    partner = plain.with_suffix(other.upper() if plain.suffix.isupper() else other)
    compressed = partner.with_name(partner.name + ".gz")
    found = [name for name in (partner, compressed) if name.exists()]
    if not found:
        raise InputRefused(
            f"{path}: {partner.name} is missing beside it",
            rule="a NIfTI pair is a .hdr and an .img file in one folder",
            remedy="copy both files, or convert the pair to .nii.gz",
        )
    return found[-1] if zipped else found[0]


_TYPE_CODES = {"uint8": 2, "int16": 4, "float32": 16}
_SCANNER = 1  # nifti1.h: NIFTI_XFORM_SCANNER_ANAT
_MILLIMETRES = 2
_MOST_NIFTI1_VOXELS = 32767  # dim is int16
# A fresh sform is float32: 24 bits hold a position 1000 mm from the origin to 0.00006 mm. An
# affine that loses more than this has an origin of kilometres, which no scanner sets.
_SFORM_TOLERANCE_MM = 0.001
# Measured on sCT of heads: level 3 takes 0.6 of the time of the usual level 6 for 2 % more bytes.
_GZIP_LEVEL = 3


def write_nifti(
    sct: Volume,
    *,
    source_header: SourceHeader,
    to: Path,
    overwrite: bool = False,
    sidecar: str | None = None,
) -> None:
    """Write ``sct`` as ``.nii`` or ``.nii.gz``, whole or not at all, with its ``sidecar`` if any.

    With a ``NiftiSourceHeader`` the header is the source's, byte for byte but for what the voxels
    force (``_fit_to_voxels``). With another it is a new NIfTI-1 header, whose sform is the affine
    in float32. Types are those of ``stored_voxels``. The same volume gives the same bytes.

    Raises
    ------
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, the system refuses, the volume does not lie on
        the grid of its source header, or what was read back differs.
    UsageError
        If ``to`` does not end in ``.nii`` or ``.nii.gz``.
    """
    name = to.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise UsageError(f"{to}: unknown ending", rule="NIfTI files end in .nii or .nii.gz")
    voxels = stored_voxels(sct, to)
    if isinstance(source_header, NiftiSourceHeader):
        header, extensions = from_source_header(source_header), source_header.extensions
        shorten_quaternion(header)  # else other programs would not open the output
        _refuse_other_grid(header, sct.geometry, to)
    else:
        header, extensions = _fresh_header(sct.geometry, to), ()
    tail = _pack_extensions(extensions, header.endianness)
    _fit_to_voxels(header, voxels, tail_bytes=len(tail))
    voxels = voxels.astype(voxels.dtype.newbyteorder(header.endianness), copy=False)
    with atomic_image(to, overwrite=overwrite, sidecar=sidecar) as temporary:
        with _open_for_writing(temporary, zipped=name.endswith(".gz")) as file:
            file.write(header.binaryblock + tail)
            # In pieces of one slice: Fortran order needs a copy.
            for k in range(voxels.shape[2]):
                file.write(voxels[:, :, k].tobytes(order="F"))
        if not _is_as_written(temporary, header, tail, voxels):
            raise CannotWrite(
                f"{to}: what was read back is not what was written",
                rule="header and voxels must be equal",
                remedy="check the disk, or write to another one",
            )


def _refuse_other_grid(header: Nifti1Header, geometry: Geometry, to: Path) -> None:
    expected, _ = header_geometry(header, to)
    if not expected.same_grid(geometry):
        raise CannotWrite(
            f"{to}: the volume is a grid of {geometry.shape}, the source's of {expected.shape}, "
            "or their affines differ",
            rule="an output has its source's grid to the last bit",
            remedy="resample the volume onto the source's geometry",
        )


def _fit_to_voxels(header: Nifti1Header, voxels: NDArray[Any], *, tail_bytes: int) -> None:
    """Set in place the fields that the stored voxels decide, and no other."""
    make_single(header)
    header["datatype"] = _TYPE_CODES[voxels.dtype.name]
    header["bitpix"] = voxels.dtype.itemsize * 8
    header["vox_offset"] = int(header["sizeof_hdr"]) + tail_bytes
    header["scl_slope"] = 1
    header["scl_inter"] = 0
    # The window in which viewers show the source's values: left as it is, an sCT would be black.
    header["cal_max"] = 0
    header["cal_min"] = 0


@np.errstate(over="ignore", invalid="ignore")
def _fresh_header(geometry: Geometry, to: Path) -> Nifti1Header:
    """Make a header for a source that had none; shear is kept by the sform alone."""
    is_large = max(geometry.shape) > _MOST_NIFTI1_VOXELS
    header = (Nifti2Header if is_large else Nifti1Header)(None, "<", False)
    header.set_data_shape(geometry.shape)
    # The quaternion of the qform cannot hold shear: readers are to use the sform then.
    header.set_qform(geometry.affine_ras, 0 if geometry.is_sheared else _SCANNER)
    header.set_sform(geometry.affine_ras, _SCANNER)
    header["xyzt_units"] = _MILLIMETRES
    try:
        written, _ = header_geometry(header, to)
        lost_mm = np.abs(written.corners_ras_mm() - geometry.corners_ras_mm()).max()
    except InputRefused:  # numbers that float32 turns into 0 or infinity
        lost_mm = np.inf
    if lost_mm > _SFORM_TOLERANCE_MM:
        raise CannotWrite(
            f"{to}: the affine moves by {lost_mm:.3g} mm in the float32 of NIfTI",
            rule=f"at most {_SFORM_TOLERANCE_MM} mm may be lost",
            remedy="write another format, or move the origin closer",
        )
    return header


def _pack_extensions(extensions: Extensions, endianness: str) -> bytes:
    """Return the four bytes after the header, and the extensions padded to 16 bytes each."""
    if not extensions:
        return bytes(4)
    packed = b"\x01\x00\x00\x00"
    for code, content in extensions:
        size = -(-(len(content) + 8) // 16) * 16
        packed += struct.pack(f"{endianness}2i", size, code) + content.ljust(size - 8, b"\x00")
    return packed


@contextmanager
def _open_for_writing(path: Path, *, zipped: bool) -> Iterator[BinaryIO | gzip.GzipFile]:
    with path.open("wb") as file:
        if not zipped:
            yield file
            return
        # No name and no time inside, so that the same volume gives the same bytes.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            yield packed


def _is_as_written(path: Path, header: Nifti1Header, tail: bytes, voxels: NDArray[Any]) -> bool:
    """Read the file back and compare every byte."""
    try:
        with open_bytes(path) as source:
            read = read_header(source)
            same = read.binaryblock == header.binaryblock and source.exactly(len(tail)) == tail
            for k in range(voxels.shape[2]):
                expected = voxels[:, :, k].tobytes(order="F")
                same = same and source.exactly(len(expected)) == expected
            return same and source.count_rest() == 0
    except InputRefused:
        return False
