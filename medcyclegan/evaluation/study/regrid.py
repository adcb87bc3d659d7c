"""Bring an image or a mask onto the grid of the reference, with scipy alone.

``imaging.resampling`` does the same for the network with torch, which scoring must not need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import FloatArray, Geometry
from medcyclegan.core.volume import FloatVoxels, Volume

BoolArray = NDArray[np.bool_]

# A voxel covers half a spacing to each side of its centre.
HALF_VOXEL = 0.5

# Full width at half maximum of a Gaussian in standard deviations.
_FWHM = 2.355
# A Gaussian narrower than this many voxels changes nothing but the run time.
_LEAST_SIGMA = 0.2


# Voxel centres that lie so near to each other, in voxels, are at one place: headers are rounded.
_SAME_PLACE = 1e-3


def is_copied(source: Geometry, target: Geometry) -> bool:
    """Whether ``onto_grid`` copies voxels and mixes none: the axes of one grid are those of the
    other, flipped, in another order or moved by whole voxels.
    """
    index_map = _index_map(source, target)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(target.shape) - 1)
    places = corners @ index_map[:3, :3].T + index_map[:3, 3]
    whole = np.rint(index_map)
    is_permutation = (np.abs(whole[:3, :3]).sum(axis=0) == 1).all()
    ours = corners @ whole[:3, :3].T + whole[:3, 3]
    return bool(is_permutation and np.abs(places - ours).max() < _SAME_PLACE)


def _index_map(source: Geometry, target: Geometry) -> FloatArray:
    """(4, 4) from voxel indices of the target to those of the source."""
    return np.asarray(np.linalg.solve(source.affine_ras, target.affine_ras), dtype=np.float64)


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
    index_map = _index_map(volume.geometry, geometry)
    if is_copied(volume.geometry, geometry):
        index_map = np.rint(index_map)
    seen = _seen(index_map, volume.geometry.shape, geometry.shape)
    moved = ndimage.affine_transform(
        _smoothed_for(volume, geometry),
        index_map[:3, :3],
        offset=index_map[:3, 3],
        output_shape=geometry.shape,
        order=1,
        mode="nearest",
    )
    moved[~seen] = fill
    return Volume(moved, geometry, volume.unit), seen


def _seen(
    index_map: FloatArray, source: tuple[int, int, int], target: tuple[int, int, int]
) -> BoolArray:
    """Where the target's voxel centres (i, j, k) fall inside the source's voxels."""
    seen = np.ones(target, dtype=np.bool_)
    i, j, k = (np.arange(n, dtype=np.float64) for n in target)
    for axis in range(3):
        a, b, c, start = index_map[axis]
        place = (a * i + start)[:, None, None] + (b * j)[:, None] + c * k
        seen &= (place >= -HALF_VOXEL) & (place <= source[axis] - 1 + HALF_VOXEL)
    return seen


def _smoothed_for(volume: Volume, geometry: Geometry) -> FloatVoxels:
    overlap = np.abs(volume.geometry.directions_ras.T @ geometry.directions_ras)
    target_mm = np.asarray(geometry.spacing_mm)[overlap.argmax(axis=1)]
    ratio = target_mm / np.asarray(volume.geometry.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)) / _FWHM
    if sigma.max() < _LEAST_SIGMA:
        return volume.voxels
    return np.asarray(ndimage.gaussian_filter(volume.voxels, sigma, mode="nearest"))
