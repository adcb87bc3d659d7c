"""Bring a volume onto another grid in space: the one place where voxels are interpolated."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import GaussianSmooth, SpatialResample
from numpy.typing import NDArray

from medcyclegan.geometry import Geometry
from medcyclegan.volume import Volume

# Grids whose corners agree this closely are one grid: 0.001 mm is below any header's precision.
SAME_GRID_MM = 1e-3
# Full width at half maximum of a Gaussian in standard deviations.
_FWHM = 2.355


def to_geometry(volume: Volume, geometry: Geometry, *, fill: float) -> Volume:
    """Interpolate a volume linearly onto another grid, in world coordinates.

    Where the new grid is coarser along an axis, the volume is first smoothed along it to the new
    spacing, so that noise and fine edges do not alias.

    Parameters
    ----------
    volume:
        Any unit; grids may be oblique, permuted, flipped or sheared.
    geometry:
        The grid to fill; the result carries it as it is, bit for bit.
    fill:
        Value, in the volume's unit, outside the volume's field of view.
    """
    if _is_same(volume.geometry, geometry):
        return Volume(volume.voxels, geometry, volume.unit)
    voxels = _smooth_for(volume, geometry)
    source = MetaTensor(
        torch.from_numpy(voxels - np.float32(fill))[None],
        affine=torch.from_numpy(volume.geometry.affine_ras.copy()),
    )
    resample = SpatialResample(mode="bilinear", padding_mode="zeros", dtype=torch.float32)
    moved = resample(
        source,
        dst_affine=torch.from_numpy(geometry.affine_ras.copy()),
        spatial_size=geometry.shape,
    )
    out = moved.as_tensor()[0].numpy() + np.float32(fill)
    return Volume(out, geometry, volume.unit)


def _is_same(one: Geometry, other: Geometry) -> bool:
    if one.shape != other.shape:
        return False
    apart = np.abs(one.corners_ras_mm() - other.corners_ras_mm()).max()
    return bool(apart < SAME_GRID_MM)


def _smooth_for(volume: Volume, geometry: Geometry) -> NDArray[np.float32]:
    """Return the voxels, smoothed along the axes that the new grid samples more coarsely."""
    overlap = np.abs(volume.geometry.directions_ras.T @ geometry.directions_ras)
    target_mm = np.asarray(geometry.spacing_mm)[overlap.argmax(axis=1)]
    ratio = target_mm / np.asarray(volume.geometry.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)) / _FWHM
    if sigma.max() < 0.2:
        return np.array(volume.voxels)
    smooth = GaussianSmooth(sigma=[max(float(s), 1e-6) for s in sigma])
    return np.asarray(smooth(torch.from_numpy(np.array(volume.voxels))[None])[0].numpy())
