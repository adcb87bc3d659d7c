"""Bring an image or a mask onto the grid of the reference, with scipy alone.

There are two resamplers: that of the networks, ``imaging.resampling``, is MONAI's, as their
preprocessing is, and fades out over the last voxel of the field of view; scores need one without
torch that tells exactly which voxels of the reference were seen. Both copy where voxels coincide,
and smooth alike (``core.geometry``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import (
    FloatArray,
    Geometry,
    index_map,
    smoothing_voxels,
    whole_steps,
)
from medcyclegan.core.volume import FloatVoxels, Volume

BoolArray = NDArray[np.bool_]

# A voxel covers half a spacing to each side of its centre.
HALF_VOXEL = 0.5


def onto_grid(volume: Volume, geometry: Geometry, *, fill: float) -> tuple[Volume, BoolArray]:
    """Interpolate a volume linearly at the voxel centres of another grid.

    Where the new grid is coarser along an axis, the volume is smoothed along it first. Beyond its
    outermost voxel centres, a voxel's value reaches half a voxel further.

    Parameters
    ----------
    volume:
        Any unit; grids may be oblique, permuted, flipped or sheared.
    geometry:
        The grid to fill.
    fill:
        Value, in the volume's unit, outside the field of view of ``volume``.

    Returns
    -------
    The volume on ``geometry``, and where (i, j, k) that grid lies in the field of view.
    """
    steps = whole_steps(volume.geometry, geometry)
    places = index_map(volume.geometry, geometry) if steps is None else steps
    seen = _seen(places, volume.geometry.shape, geometry.shape)
    moved = ndimage.affine_transform(
        _smoothed_for(volume, geometry),
        places[:3, :3],
        offset=places[:3, 3],
        output_shape=geometry.shape,
        order=1,
        mode="nearest",
    )
    moved[~seen] = fill
    return Volume(moved, geometry, volume.unit), seen


def _seen(
    places: FloatArray, source: tuple[int, int, int], target: tuple[int, int, int]
) -> BoolArray:
    """Where the target's voxel centres (i, j, k) fall inside the source's voxels."""
    seen = np.ones(target, dtype=np.bool_)
    i, j, k = (np.arange(n, dtype=np.float64) for n in target)
    for axis in range(3):
        a, b, c, start = places[axis]
        place = (a * i + start)[:, None, None] + (b * j)[:, None] + c * k
        seen &= (place >= -HALF_VOXEL) & (place <= source[axis] - 1 + HALF_VOXEL)
    return seen


def _smoothed_for(volume: Volume, geometry: Geometry) -> FloatVoxels:
    sigma = smoothing_voxels(volume.geometry, geometry)
    if not sigma.any():
        return volume.voxels
    return np.asarray(ndimage.gaussian_filter(volume.voxels, sigma, mode="nearest"))
