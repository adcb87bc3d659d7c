"""Write a volume of one slice as a PNG or TIFF, in as many bits as its source had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.scan import Passport, PlanePassport
from medcyclegan.volume import Volume

WRITTEN_ENDINGS = (".png", ".tif", ".tiff")
_PNG_TYPES = ("uint8", "uint16")


def write_plane(volume: Volume, *, passport: Passport, to: Path, overwrite: bool = False) -> None:
    """Write ``volume``, (columns, rows, 1), as ``.png``, ``.tif`` or ``.tiff``, or not at all.

    The type is that of the source's picture; for other sources int16 for HU, uint8 for a mask, else
    uint16. Whole-number types round and clip.

    Raises
    ------
    CannotWrite
        If there is more than one slice, PNG cannot hold the type, ``to`` exists and ``overwrite``
        is false, the system refuses, or what was read back differs.
    UsageError
        If ``to`` has another ending.
    """
    ending = to.suffix.lower()
    if ending not in WRITTEN_ENDINGS:
        raise UsageError(f"{to}: unknown ending", rule="pictures end in .png, .tif or .tiff")
    if volume.geometry.shape[2] != 1:
        raise CannotWrite(
            f"{to}: a volume of {volume.geometry.shape[2]} slices",
            rule="a picture holds one slice",
            remedy="name a .nii.gz file",
        )
    dtype = stored_type(volume, passport)
    if ending == ".png" and dtype not in _PNG_TYPES:
        raise CannotWrite(
            f"{to}: values of type {dtype} ({volume.unit})",
            rule="PNG holds whole numbers from 0 up",
            remedy="name a .tif or .nii.gz file",
        )
    pixels = _stored(volume, dtype)
    kind = "PNG" if ending == ".png" else "TIFF"
    with atomic_file(to, overwrite=overwrite) as temporary:
        Image.fromarray(pixels).save(temporary, format=kind, **_compression(kind))
        with Image.open(temporary, formats=(kind,)) as written:
            if not np.array_equal(np.asarray(written), pixels):
                raise CannotWrite(
                    f"{to}: what was read back is not what was written",
                    rule="the pixels must be equal",
                    remedy="check the disk, or write to another one",
                )


def stored_type(volume: Volume, passport: Passport) -> str:
    """Return numpy's name of the type that a picture of ``volume`` is stored in."""
    if volume.unit == "HU":
        return "int16"
    if volume.unit == "mask":
        return "uint8"
    return passport.dtype if isinstance(passport, PlanePassport) else "uint16"


def _stored(volume: Volume, dtype: str) -> NDArray[np.generic]:
    """(rows, columns) as they are stored."""
    values = np.ascontiguousarray(volume.voxels[:, :, 0].T)
    if dtype == "float32":
        return values
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _compression(kind: str) -> dict[str, str]:
    return {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
