"""NIfTI header fields and the grid they describe, each checked before it is believed.

The fields of a NIfTI header, each checked before it is believed.
Headers are taken from their bytes, in nibabel's header type without nibabel's checks: these mend
silently, and print what they found.

Where a NIfTI header says that its voxels lie.
The rule is NIfTI's and nibabel's: the sform if its code is above 0, else the qform if its code is,
else spacing alone, centred, with x running to the left. ``docs/geometry.md`` tells it to users.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from medcyclegan.core.geometry import FloatArray, Geometry
from medcyclegan.errors import InputRefused
from medcyclegan.io.byte_source import ByteSource, content_name
from medcyclegan.io.scan import NiftiSourceHeader
from medcyclegan.io.voxel_rules import check_shape

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

# Codes by which a form says where voxels lie: scanner, aligned, Talairach, MNI, template.
PLACING_CODES = range(1, 6)
_CODES = ("sform_code", "qform_code")

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


def to_source_header(header: Nifti1Header, extensions: Extensions) -> NiftiSourceHeader:
    """Return the bytes of ``header``, and what is needed to understand them."""
    return NiftiSourceHeader(
        header=header.binaryblock,
        version=2 if isinstance(header, Nifti2Header) else 1,
        big_endian=header.endianness == ">",
        extensions=extensions,
        is_placed=any(int(header[field]) in PLACING_CODES for field in _CODES),
    )


def from_source_header(source_header: NiftiSourceHeader) -> Nifti1Header:
    """Undo ``to_source_header``, extensions aside."""
    kind = Nifti2Header if source_header.version == 2 else Nifti1Header
    return kind(source_header.header, ">" if source_header.big_endian else "<", False)


# xyzt_units, lowest three bits (nifti1.h). Files that do not say their unit are in mm in practice.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
# A quaternion near half a turn is good to some 8e-4 rad in float32, which moves a voxel by so much
# of its distance from the first: less than that, or than 0.25 mm, is no disagreement.
_AGREEMENT_RAD = 1e-3
_AGREEMENT_MM = 0.25
# Sums of squares of a quaternion may exceed 1 by this much: float32 rounds each of its components,
# and near half a turn that is the angle above.
_QUATERNION_ROUNDING = 4e-6
# No scanner of people makes voxels outside this range: the unit is likely wrong, or none was set.
_PLAUSIBLE_SPACING_MM = (0.01, 50.0)


# Damaged numbers may overflow; what they give is then refused as not finite or singular.
@np.errstate(over="ignore", invalid="ignore")
def header_geometry(header: Nifti1Header, path: Path) -> tuple[Geometry, list[str]]:
    """Return the grid in RAS mm, and the warnings for the user.

    The affine is nibabel's ``get_best_affine`` to the last bit, times the unit where that is not
    the millimetre.

    Raises
    ------
    InputRefused
        If the shape or the affine that counts is none, singular or not finite.
    """
    shape = check_shape(stored_shape(header), path)
    mended, warnings = _mended(header)
    if int(mended["sform_code"]) > 0:
        # pixdim and qform do not count then, so their repairs do not matter to the user.
        warnings = [text for text in warnings if "sform" in text]
    elif int(mended["qform_code"]) == 0:
        warnings.append(
            "sform_code and qform_code are 0, so that the header does not say where the patient "
            "lies: the spacing is used, x is taken to run to the left"
        )
    scale, unit_warnings = _unit_in_mm(header)
    try:
        affine = np.array(mended.get_best_affine(), dtype=np.float64)
        affine[:3] *= scale
        geometry = Geometry(shape, affine)
    except InputRefused as error:
        raise InputRefused(
            f"{path}: {error.found}", rule=error.rule, remedy=error.remedy
        ) from error
    except ValueError as error:  # nibabel, for a quaternion that is longer than 1
        raise InputRefused(
            f"{path}: the quaternion of the qform is longer than 1",
            rule="qform_code is above 0, so it must be a rotation",
            remedy="repair the qform, or set an sform",
        ) from error
    warnings += unit_warnings
    warnings += _disagreement(mended, geometry, scale)
    return geometry, warnings + _implausible(geometry)


@np.errstate(over="ignore", invalid="ignore")
def shorten_quaternion(header: Nifti1Header) -> None:
    """Shorten a quaternion that rounding has made longer than nibabel takes, in place."""
    fields = ("quatern_b", "quatern_c", "quatern_d")
    values = np.array([header[field] for field in fields], dtype=np.float64)
    squared = float(values @ values)
    if abs(header.quaternion_threshold) < squared - 1.0 <= _QUATERNION_ROUNDING:
        for field, value in zip(fields, values / np.sqrt(squared), strict=True):
            header[field] = value


def _mended(header: Nifti1Header) -> tuple[Nifti1Header, list[str]]:
    """Repair a copy as nibabel does when it opens a file, and say what was repaired."""
    mended = header.copy()
    warnings = []
    for field in ("sform_code", "qform_code"):
        code = int(header[field])
        if code != 0 and code not in PLACING_CODES:
            mended[field] = 0
            warnings.append(f"{field} is {code}, which is not defined, and is taken for 0")
    # A 2D image has no third spacing.
    used = header["pixdim"][1 : min(max(int(header["dim"][0]), 2), 3) + 1]
    if (used <= 0).any():
        warnings.append(f"pixdim {used.tolist()}: 0 is taken for 1, negative for positive")
    spacing = np.abs(header["pixdim"][1:4])
    spacing[spacing == 0] = 1
    mended["pixdim"][1:4] = spacing
    shorten_quaternion(mended)
    if header["pixdim"][0] not in (-1, 1):
        mended["pixdim"][0] = 1
        if header["pixdim"][0] != 0:
            warnings.append(f"pixdim[0] is {header['pixdim'][0]:g} and is taken for 1")
    return mended, warnings


def _unit_in_mm(header: Nifti1Header) -> tuple[float, list[str]]:
    code = int(header["xyzt_units"]) % 8
    if code not in _MM_PER_UNIT:
        return 1.0, [f"the unit of length has code {code}, which is not defined: mm are assumed"]
    if code in _UNIT_NAMES:
        return _MM_PER_UNIT[code], [f"the header is in {_UNIT_NAMES[code]}, turned into mm"]
    return 1.0, []


def _disagreement(mended: Nifti1Header, geometry: Geometry, scale: float) -> list[str]:
    if int(mended["sform_code"]) == 0 or int(mended["qform_code"]) == 0:
        return []
    try:
        affine = np.array(mended.get_qform(), dtype=np.float64)
        affine[:3] *= scale
        distance = _largest_distance_mm(geometry, Geometry(geometry.shape, affine))
    except (InputRefused, ValueError):
        return ["sform and qform disagree, as the qform is no rotation: the sform is used"]
    corners = geometry.corners_ras_mm()
    extent_mm = float(np.linalg.norm(corners - corners[0], axis=1).max())
    if distance <= max(_AGREEMENT_MM, _AGREEMENT_RAD * extent_mm):
        return []
    return [f"sform and qform disagree by up to {distance:.3g} mm: the sform is used"]


def _largest_distance_mm(one: Geometry, other: Geometry) -> float:
    """The largest of eight distances, in mm: two affine maps differ most in a corner."""
    difference: FloatArray = one.corners_ras_mm() - other.corners_ras_mm()
    return float(np.linalg.norm(difference, axis=1).max())


def _implausible(geometry: Geometry) -> list[str]:
    least, most = _PLAUSIBLE_SPACING_MM
    spacing = geometry.spacing_mm
    if min(spacing) >= least and max(spacing) <= most:
        return []
    shown = " x ".join(f"{length:.4g}" for length in spacing)
    return [f"a spacing of {shown} mm is hardly true: check the header's unit of length"]
