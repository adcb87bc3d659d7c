"""Which voxels are accepted from a file, and how they are stored in one.

The same for every file format but DICOM CT, which has its own rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.text import counted, is_or_are, was_or_were
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import CannotWrite, DeviceError, InputRefused

BoolArray = NDArray[np.bool_]

# 1024 x 1024 x 1024 voxels, 4 GiB as float32: a hundred times a usual head scan. What claims to be
# more is taken for a damaged header.
MAX_VOXELS = 2**30
# Up to a quarter of the voxels may be NaN or infinite: what the corners of a rotated field of view
# come to. Beyond that the image itself is in doubt.
MAX_NOT_FINITE_SHARE = 0.25
# What CT scanners store in 12 bits, in HU.
HU_RANGE = (-1024, 3071)


@contextmanager
def memory_refusals(path: Path) -> Iterator[None]:
    """Turn a lack of memory while an image is read into ``DeviceError``."""
    try:
        yield
    except MemoryError as error:
        raise DeviceError(
            f"{path}: memory does not suffice for the image",
            remedy="free some memory, or crop the image",
        ) from error


def check_shape(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Return ``shape`` as three axes, one added to a 2D image; refuse it before memory is taken.

    Raises
    ------
    InputRefused
        If an axis has no voxel, there are more than ``MAX_VOXELS``, or several volumes.
    """
    shown = " x ".join(str(n) for n in shape)
    if len(shape) < 2 or min(shape) < 1:
        raise InputRefused(
            f"{path}: dimensions {shown or 'missing'}",
            rule="an image has two or three axes of at least one voxel",
            remedy="the header is damaged: copy or export the file again",
        )
    if (volumes := math.prod(shape[3:])) > 1:
        raise InputRefused(
            f"{path}: dimensions {shown}, that is {volumes} volumes or components",
            rule="one volume is read",
            remedy="extract one volume into a file of its own",
        )
    if math.prod(shape) > MAX_VOXELS:
        raise InputRefused(
            f"{path}: dimensions {shown}",
            rule=f"at most {MAX_VOXELS} voxels are read",
            remedy="the header is damaged, or the image must be resampled before",
        )
    rows, columns, slices = (*shape, 1)[:3]
    return rows, columns, slices


def to_float32(stored: NDArray[Any], *, slope: float, intercept: float, path: Path) -> FloatVoxels:
    """Scale stored numbers in float64 and return them as float32, any shape.

    NaN and infinity pass; a finite number that float32 cannot hold raises ``InputRefused``.
    """
    values = stored
    with np.errstate(over="ignore", invalid="ignore"):
        if (slope, intercept) != (1.0, 0.0):
            values = stored.astype(np.float64) * slope + intercept
        voxels = values.astype(np.float32)
    lost = ~np.isfinite(voxels)
    if lost.any() and np.isfinite(stored[lost]).any():
        largest = np.abs(values[lost & np.isfinite(stored)]).max()
        raise InputRefused(
            f"{path}: voxel values up to {largest:.3g}",
            rule=f"values beyond {np.finfo(np.float32).max:.3g} cannot be held as float32",
            remedy="rescale the image",
        )
    return voxels


def mend_voxels(
    voxels: FloatVoxels, path: Path, *, may_be_constant: bool = False
) -> tuple[list[str], BoolArray | None]:
    """Replace NaN and infinity in place by the smallest finite value.

    The smallest value of an image means air or no signal. A mask may have one value everywhere.
    Returns the warnings, and where such voxels were, in the shape of ``voxels``: None if nowhere.

    Raises
    ------
    InputRefused
        If more than ``MAX_NOT_FINITE_SHARE`` of the voxels are not finite, or all are equal and
        may not be.
    """
    finite = np.isfinite(voxels)
    count = voxels.size - int(np.count_nonzero(finite))
    if count > MAX_NOT_FINITE_SHARE * voxels.size:
        raise InputRefused(
            f"{path}: {count} of {counted(voxels.size, 'voxel')} {is_or_are(count)} NaN or "
            "infinite",
            rule=f"at most {MAX_NOT_FINITE_SHARE:.0%} may be, and are replaced",
            remedy="export the image again, or replace them by what means no signal",
        )
    smallest = float(voxels.min(where=finite, initial=np.inf))
    largest = float(voxels.max(where=finite, initial=-np.inf))
    if smallest == largest and not may_be_constant:
        raise InputRefused(
            f"{path}: every voxel has the value {smallest:g}",
            rule="an image must hold more than one value",
            remedy="check that the export went well",
        )
    if not count:
        return [], None
    mended = ~finite
    voxels[mended] = smallest
    return [replacement_said(count, smallest)], mended


def replacement_said(count: int, value: float) -> str:
    """The warning that ``count`` voxels were not finite, and are ``value`` now."""
    return (
        f"{counted(count, 'voxel')} {was_or_were(count)} NaN or infinite and {is_or_are(count)} "
        f"replaced by {value:g}"
    )


def stored_voxels(volume: Volume, path: Path) -> NDArray[Any]:
    """Return the voxels in the type they are stored in, (i, j, k).

    HU: int16, rounded and clipped to ``HU_RANGE``; mask: uint8; label: int16; everything else:
    float32 as it is.

    Raises
    ------
    CannotWrite
        If a mask or label volume holds what its type cannot.
    """
    voxels = volume.voxels
    if volume.unit == "HU":
        return np.clip(np.rint(voxels), *HU_RANGE).astype(np.int16)
    if volume.unit not in ("mask", "label"):
        return np.asarray(voxels)
    dtype = np.uint8 if volume.unit == "mask" else np.int16
    limits = np.iinfo(dtype)
    least, most = limits.min, limits.max
    if voxels.min() < least or voxels.max() > most or not np.array_equal(voxels, np.rint(voxels)):
        raise CannotWrite(
            f"{path}: {volume.unit} values from {voxels.min():g} to {voxels.max():g}",
            rule=f"a {volume.unit} holds whole numbers from {least} to {most}",
        )
    return voxels.astype(dtype)
