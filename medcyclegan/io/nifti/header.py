"""The fields of a NIfTI header, each checked before it is believed.

Headers are taken from their bytes, in nibabel's header type without nibabel's checks: these mend
silently, and print what they found.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from medcyclegan.errors import InputRefused
from medcyclegan.io.byte_source import ByteSource, content_name
from medcyclegan.io.scan import NiftiPassport

# NIfTI codes of the real data types (nifti1.h); float128 has no counterpart on most machines.
_REAL_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_OTHER_TYPES = {1: "1 bit", 32: "complex64", 128: "RGB", 1536: "float128", 2304: "RGBA"}
_HEADER_TYPES = {348: Nifti1Header, 540: Nifti2Header}
_SINGLE_MAGIC = {348: b"n+1", 540: b"n+2"}
_PAIR_MAGIC = {348: b"ni1", 540: b"ni2"}
# NIfTI-2 puts line ends behind its magic, which a transfer as text would change; some writers
# leave them 0.
_LINE_ENDS = ([13, 10, 26, 10], [0, 0, 0, 0])
# Extensions are texts and DICOM headers of some kilobytes; 64 MiB bounds what a damaged offset
# makes us read.
_MOST_EXTENSION_BYTES = 2**26

Extensions = tuple[tuple[int, bytes], ...]


def read_header(source: ByteSource) -> Nifti1Header:
    """Read a NIfTI-1 or NIfTI-2 header in either byte order.

    Raises
    ------
    InputRefused
        If the file does not start with one.
    """
    start = source.up_to(348)
    sizes = {order: struct.unpack(f"{order}i", start[:4])[0] for order in "<>" if len(start) >= 4}
    for order, size in sizes.items():
        if size in _HEADER_TYPES:
            block = start + source.up_to(size - len(start))
            if len(block) < size:
                source.refuse_short(size)
            header = _HEADER_TYPES[size](block, order, False)
            _check_magic(header, source.path)
            return header
    raise InputRefused(
        f"{source.path}: not a NIfTI file, it holds {content_name(start)}",
        rule="a NIfTI file starts with a header of 348 or 540 bytes",
        remedy="give the file its right ending, or export it as .nii.gz",
    )


def _check_magic(header: Nifti1Header, path: Path) -> None:
    size, magic = int(header["sizeof_hdr"]), header["magic"].item()
    if magic not in (_SINGLE_MAGIC[size], _PAIR_MAGIC[size]):
        kind = "an Analyze 7.5 header or a damaged one" if size == 348 else "a damaged header"
        raise InputRefused(
            f"{path}: {kind} (magic {magic!r})",
            rule="NIfTI headers say n+1, ni1, n+2 or ni2; Analyze does not say left from right",
            remedy="convert the image to .nii.gz with the tool that wrote it",
        )
    if size == 540 and header["eol_check"].tolist() not in _LINE_ENDS:
        raise InputRefused(
            f"{path}: the line ends in the NIfTI-2 header are changed",
            rule="a file is copied as bytes, not as text",
            remedy="copy the file again",
        )


def is_pair(header: Nifti1Header) -> bool:
    """Whether the voxels are in an ``.img`` file beside the header."""
    return bool(header["magic"].item() == _PAIR_MAGIC[int(header["sizeof_hdr"])])


def make_single(header: Nifti1Header) -> None:
    """Say in place that the voxels follow in the same file."""
    header["magic"] = _SINGLE_MAGIC[int(header["sizeof_hdr"])]


def stored_shape(header: Nifti1Header) -> tuple[int, ...]:
    """Return the dimensions as the header has them, none of them checked."""
    count = int(header["dim"][0])
    return tuple(int(n) for n in header["dim"][1 : count + 1]) if 1 <= count <= 7 else ()


def stored_dtype(header: Nifti1Header, path: Path) -> np.dtype[Any]:
    """Return the type of the stored voxels, byte order included; refuse colour and complex."""
    code = int(header["datatype"])
    if code not in _REAL_TYPES:
        raise InputRefused(
            f"{path}: voxels of NIfTI type {code} ({_OTHER_TYPES.get(code, 'no real number')})",
            rule="integers of 8 to 64 bits and floats of 32 or 64 are read",
            remedy="convert the image to a grey-level one of float32",
        )
    dtype: np.dtype[Any] = np.dtype(f"{header.endianness}{_REAL_TYPES[code]}")
    return dtype


def scaling(header: Nifti1Header, path: Path) -> tuple[float, float]:
    """Return slope and intercept; (1, 0) where the slope is 0 or NaN, which means none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or np.isnan(slope):
        return 1.0, 0.0
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise InputRefused(
            f"{path}: scl_slope {slope:g} and scl_inter {intercept:g}",
            rule="a scaling has a finite slope and intercept",
            remedy="set scl_slope to 0 if there is none",
        )
    return slope, intercept


def data_offset(header: Nifti1Header, path: Path) -> int:
    """Return the position of the first voxel in its file, in bytes.

    A single file with offset 0 has its voxels right behind the header, as other readers take it.
    """
    offset = float(header["vox_offset"])
    least = 0 if is_pair(header) else int(header["sizeof_hdr"]) + 4
    if offset == 0.0:
        return least
    most = least + _MOST_EXTENSION_BYTES
    if not (least <= offset <= most and offset.is_integer()):
        raise InputRefused(
            f"{path}: vox_offset {offset:g}",
            rule=f"voxels start between byte {least} and {most}",
            remedy="the header is damaged: copy or export the file again",
        )
    return int(offset)


def read_extensions(
    source: ByteSource, header: Nifti1Header, offset: int
) -> tuple[Extensions, list[str]]:
    """Read what stands between header and voxels; return the extensions and the warnings.

    ``source`` stands behind the header, and behind the extensions afterwards. A damaged one and
    what follows it are dropped, as the voxels do not depend on them.
    """
    if is_pair(header):
        block = source.up_to(_MOST_EXTENSION_BYTES)
    else:
        block = source.exactly(offset - source.position)
    if len(block) < 4 or block[0] == 0:
        return (), []
    extensions: list[tuple[int, bytes]] = []
    block = block[4:]
    # 16 bytes is the smallest extension: 8 for size and code, 8 of content.
    while len(block) >= 16:
        size, code = struct.unpack(f"{header.endianness}2i", block[:8])
        if not 8 <= size <= len(block):
            warning = f"a header extension claims {size} bytes of {len(block)} and is dropped"
            return tuple(extensions), [warning]
        extensions.append((code, block[8:size]))
        block = block[size:]
    return tuple(extensions), []


def to_passport(header: Nifti1Header, extensions: Extensions) -> NiftiPassport:
    """Return the bytes of ``header``, and what is needed to understand them."""
    return NiftiPassport(
        header=header.binaryblock,
        version=2 if isinstance(header, Nifti2Header) else 1,
        big_endian=header.endianness == ">",
        extensions=extensions,
    )


def from_passport(passport: NiftiPassport) -> Nifti1Header:
    """Undo ``to_passport``, extensions aside."""
    kind = Nifti2Header if passport.version == 2 else Nifti1Header
    return kind(passport.header, ">" if passport.big_endian else "<", False)
