"""Steps on voxel grids of unequal spacing: averaging, balls in millimetres, holes and parts.

Arrays are (i, j, k); radii are millimetres, so that 1 mm and 5 mm slices are treated alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.volume import FloatVoxels

BoolArray = NDArray[np.bool_]
Spacing = tuple[float, float, float]
Factors = tuple[int, int, int]


def block_mean(voxels: FloatVoxels, factors: Factors) -> FloatVoxels:
    """Average blocks of ``factors`` voxels; a last, partial block is averaged over what it has."""
    for axis, factor in enumerate(factors):
        starts = np.arange(0, voxels.shape[axis], factor)
        counts = np.diff(np.append(starts, voxels.shape[axis])).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        sums = np.add.reduceat(voxels, starts, axis=axis)
        voxels = (sums / counts.reshape(shape)).astype(np.float32)
    return voxels


def without_specks(mask: BoolArray, spacing_mm: Spacing, least_ml: float) -> BoolArray:
    """Drop the parts (voxels that share faces) smaller than ``least_ml`` millilitres."""
    labels, _ = ndimage.label(mask)
    sizes_ml = np.bincount(labels.ravel()) * float(np.prod(spacing_mm)) / 1000.0
    return np.asarray(mask & (sizes_ml >= least_ml)[labels])


def largest_after_opening(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Keep the largest part that survives erosion by a ball, with its own surface given back."""
    core = eroded(mask, spacing_mm, radius_mm)
    if not core.any():
        core = mask
    labels, count = ndimage.label(core)
    if count == 0:
        return mask
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    # A ball gives rounded corners; half a voxel more gives the corners back.
    return mask & dilated(largest, spacing_mm, radius_mm + 0.5 * max(spacing_mm))


def closed(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Close gaps by a ball; beyond the border, the image is taken to go on as it ends there."""
    widths = [(n, n) for n in (int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm)]
    padded = np.pad(mask, widths, mode="edge")
    whole = eroded(dilated(padded, spacing_mm, radius_mm), spacing_mm, radius_mm)
    inner = tuple(slice(before, -after) for before, after in widths)
    return np.asarray(whole[inner] | mask)


def dilated(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Add all voxels whose centres lie within the radius of a voxel of the mask."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= radius_mm)


def eroded(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Drop all voxels within the radius of the outside; the border of the grid counts as inside."""
    if mask.all():
        return mask
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing_mm) > radius_mm)


def fill_slices(mask: BoolArray) -> BoolArray:
    """Fill the holes of every slice across each axis: sinuses and airways are open in 3D.

    The background of all slices is labelled at once; what has no way to the slice's border is a
    hole.
    """
    filled = np.array(mask)
    for axis in range(3):
        plane = np.zeros((3, 3, 3), dtype=np.bool_)
        plane[tuple(1 if a == axis else slice(None) for a in range(3))] = (
            ndimage.generate_binary_structure(2, 1)
        )
        background, count = ndimage.label(~filled, structure=plane)
        is_open = np.zeros(count + 1, dtype=np.bool_)
        for across in {0, 1, 2} - {axis}:
            is_open[np.take(background, (0, -1), axis=across)] = True
        is_open[0] = False
        filled = ~is_open[background]
    return filled


def enlarged(mask: BoolArray, factors: Factors, shape: tuple[int, int, int]) -> BoolArray:
    """Repeat every voxel ``factors`` times, and cut what is beyond ``shape``."""
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis=axis)
    return mask[: shape[0], : shape[1], : shape[2]]
