"""MetaImage (.mha, .mhd) and NRRD files, read and written.

What the text header of a MetaImage or NRRD file says.
ITK takes damaged numbers in such headers for 0, fills some truncated images with zeros, and prints
to stderr: so these files are read and written without it.

Read and write MetaImage (.mha, .mhd) and NRRD.
ITK's world is LPS as DICOM's; it is turned into RAS here on the way in, and back on the way out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, InputRefused, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.byte_source import content_name, open_bytes
from medcyclegan.io.discover import ITK_WRITTEN
from medcyclegan.io.itk.fields import ItkHeader, read_payload
from medcyclegan.io.itk.metaimage import ItkText, read_meta_header
from medcyclegan.io.itk.nrrd import read_nrrd_header
from medcyclegan.io.scan import ItkSourceHeader, Scan, SourceHeader
from medcyclegan.io.targets import refuse_existing_file
from medcyclegan.io.voxel_rules import memory_refusals, mend_voxels, stored_voxels, to_float32

# Headers are some hundred bytes; metadata from DICOM can make them some thousand.
_MOST_HEADER_BYTES = 2**20


def read_itk_header(path: Path) -> ItkHeader:
    """Check the header of a MetaImage or NRRD file.

    Raises
    ------
    InputRefused
        If the file is neither, damaged, in a variant that is not read, or holds several volumes
        or components.
    """
    with open_bytes(path) as source:
        start = b"" if source.is_gzip else source.up_to(_MOST_HEADER_BYTES)
    if start.startswith(b"NRRD"):
        return read_nrrd_header(start, path)
    if b"ElementDataFile" in start:
        return read_meta_header(start, path)
    raise InputRefused(
        f"{path}: not a MetaImage or NRRD file, it holds {content_name(start)}",
        rule="these start with a text header",
        remedy="give the file its right ending, or export it as .nii.gz",
    )


_LPS_TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
# MetaImage stores spacing and direction apart: their product is the affine to rounding, which is
# far below this.
_GRID_TOLERANCE_MM = 1e-6
# As for NIfTI: the time of higher levels buys some percent of the bytes.
_PACKING_LEVEL = 3
_GZIP, _ZLIB = 31, 15  # zlib.h: windowBits that give the stream one header or the other


# Damaged numbers may overflow; what they give is then refused as not finite or singular.
@np.errstate(over="ignore", invalid="ignore")
def read_itk(path: Path, *, may_be_constant: bool = False) -> Scan:
    """Read ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr``: one volume of real numbers.

    The unit of the volume is ``"a.u."`` and the modality empty, as these formats do not tell
    them. What was mended or assumed is in the scan's warnings. Only a mask ``may_be_constant``.

    Raises
    ------
    InputRefused
        If the file is damaged, truncated, or holds something else.
    DeviceError
        If memory does not suffice.
    """
    with memory_refusals(path):
        header = read_itk_header(path)
        stored = np.frombuffer(read_payload(header.payload), dtype=header.dtype)
        voxels = to_float32(stored, slope=1.0, intercept=0.0, path=path)
        warnings, mended = mend_voxels(voxels, path, may_be_constant=may_be_constant)
    if not header.is_placed:
        warnings.append(
            "the header does not say where the patient lies: the axes are taken to run to the "
            "left, the back and the head"
        )
    try:
        geometry = Geometry(header.shape, _LPS_TO_RAS @ header.affine_lps)
    except InputRefused as error:
        raise InputRefused(
            f"{path}: {error.found}", rule=error.rule, remedy="repair the header"
        ) from error
    volume = Volume(voxels.reshape(header.shape, order="F"), geometry, "a.u.")
    return Scan(
        volume,
        ItkSourceHeader(header.metadata),
        source=path,
        warnings=tuple(warnings),
        files=tuple(dict.fromkeys((path, header.payload.path))),
        mended=None if mended is None else mended.reshape(header.shape, order="F"),
    )


def write_itk(
    sct: Volume, *, source_header: SourceHeader, to: Path, overwrite: bool = False
) -> None:
    """Write ``sct`` as ``.mha``, ``.nrrd``, or ``.mhd`` with a ``.zraw`` beside it, compressed.

    The metadata of an ``ItkSourceHeader`` are kept, line breaks in them made blanks. Types and
    rounding are those of ``stored_voxels``. Whole or not at all; of a ``.mhd`` the header comes
    last, and to overwrite one it goes first, so that no header stands with voxels of another. The
    same volume gives the same bytes.

    Raises
    ------
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, the system refuses, the grid is sheared, or
        what was read back differs.
    UsageError
        If ``to`` has another ending.
    """
    ending = to.suffix.lower()
    if ending not in ITK_WRITTEN:
        raise UsageError(f"{to}: unknown ending", rule="ITK files end in .mha, .mhd or .nrrd")
    refuse_existing_file(to, overwrite=overwrite)
    voxels = stored_voxels(sct, to)
    voxels = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    packing = _GZIP if ending == ".nrrd" else _ZLIB
    packed = zlib.compress(voxels.tobytes(order="F"), _PACKING_LEVEL, packing)
    header = _header(sct.geometry, source_header, code=voxels.dtype.str[1:], to=to)
    data_file: AbstractContextManager[None] = nullcontext()
    if ending == ".nrrd":
        content = header.nrrd() + packed
    elif ending == ".mha":
        content = header.meta(packed_bytes=len(packed)) + packed
    else:
        data_path = to.with_suffix(".zraw")
        content = header.meta(packed_bytes=len(packed), data_name=data_path.name)
        data_file = _data_file(data_path, packed, header=to, overwrite=overwrite)
    with data_file, atomic_file(to, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
        _check_written(temporary, voxels, geometry=sct.geometry, to=to)


def _header(geometry: Geometry, source_header: SourceHeader, *, code: str, to: Path) -> ItkText:
    if geometry.is_sheared:
        raise CannotWrite(
            f"{to}: the grid is sheared, its axes are not perpendicular",
            rule="ITK images have perpendicular axes",
            remedy="write .nii.gz",
        )
    return ItkText(
        shape=geometry.shape,
        code=code,
        affine_lps=_LPS_TO_RAS @ geometry.affine_ras,
        metadata=source_header.metadata if isinstance(source_header, ItkSourceHeader) else (),
    )


@contextmanager
def _data_file(path: Path, packed: bytes, *, header: Path, overwrite: bool) -> Iterator[None]:
    """Write the voxels of a ``header`` that is written in the block; remove them if that fails.

    A file with these very bytes, as a killed run leaves it, is taken as it is.
    """
    if _holds(path, packed):
        yield
        return
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(packed)
        if overwrite:
            header.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        if not header.exists():  # else it is that of another run with the same voxels
            path.unlink(missing_ok=True)
        raise


def _holds(path: Path, content: bytes) -> bool:
    is_alike = path.is_file() and path.stat().st_size == len(content)
    return is_alike and path.read_bytes() == content


def _check_written(path: Path, voxels: NDArray[Any], *, geometry: Geometry, to: Path) -> None:
    """Read the file back and compare grid and voxels."""
    try:
        header = read_itk_header(path)
        same = read_payload(header.payload) == voxels.tobytes(order="F")
        read = Geometry(header.shape, _LPS_TO_RAS @ header.affine_lps)
        moved_mm = np.abs(read.corners_ras_mm() - geometry.corners_ras_mm()).max()
    except InputRefused:
        same, moved_mm = False, np.inf
    if not same or moved_mm > _GRID_TOLERANCE_MM:
        raise CannotWrite(
            f"{to}: what was read back is not what was written",
            rule="grid and voxels must be equal",
            remedy="check the disk, or write to another one",
        )
