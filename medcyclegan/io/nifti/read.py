"""Read a NIfTI file into a volume and its passport."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from medcyclegan.errors import DeviceError, InputRefused
from medcyclegan.io.byte_source import ByteSource, open_bytes
from medcyclegan.io.nifti.grid import header_geometry
from medcyclegan.io.nifti.header import (
    Extensions,
    data_offset,
    is_pair,
    read_extensions,
    read_header,
    scaling,
    stored_dtype,
    to_passport,
)
from medcyclegan.io.scan import Scan
from medcyclegan.io.voxel_rules import mend_voxels, to_float32
from medcyclegan.volume import FloatVoxels, Volume

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
    try:
        with open_bytes(_header_path(path)) as source:
            header = read_header(source)
            # All that the header says is checked before anything is read by it.
            geometry, warnings = header_geometry(header, source.path)
            voxels, extensions, more = _read_body(source, header, geometry.shape)
        said, mended = mend_voxels(voxels, path, may_be_constant=may_be_constant)
    except MemoryError as error:
        raise DeviceError(
            f"{path}: memory does not suffice for the image",
            remedy="free some memory, or crop the image",
        ) from error
    volume = Volume(voxels.reshape(geometry.shape, order="F"), geometry, "a.u.")
    passport = to_passport(header, extensions)
    return Scan(
        volume,
        passport,
        source=path,
        warnings=(*warnings, *more, *said),
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
