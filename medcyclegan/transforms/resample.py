"""Bring a volume onto another grid in space: the one place where voxels are interpolated."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import GaussianSmooth, SpatialResample
from numpy.typing import NDArray

from medcyclegan.geometry import FloatArray, Geometry
from medcyclegan.volume import Volume

# Voxels this close coincide: 0.001 mm is below any header's precision.
SAME_GRID_MM = 1e-3
# Full width at half maximum of a Gaussian in standard deviations.
_FWHM = 2.355
# As far as MONAI's Gaussian reaches, in standard deviations.
_SMOOTHED_SIGMAS = 4.0


def to_geometry(volume: Volume, geometry: Geometry, *, fill: float) -> Volume:
    """Bring a volume onto another grid, in world coordinates.

    Where the voxels of the two coincide they are copied; else the volume is interpolated linearly.
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
    steps = _whole_steps(volume.geometry, geometry)
    if steps is not None:
        return Volume(_reordered(volume, geometry, steps, fill), geometry, volume.unit)
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


def mask_on(mask: Volume, geometry: Geometry) -> Volume:
    """Bring a mask, above 0 where it marks, onto another grid: 1 where half a voxel is marked."""
    marked = mask.with_voxels((mask.voxels > 0).astype(np.float32), unit="mask")
    moved = to_geometry(marked, geometry, fill=0.0)
    return moved.with_voxels((moved.voxels >= 0.5).astype(np.float32))


def _whole_steps(source: Geometry, target: Geometry) -> FloatArray | None:
    """(4, 4) map of target to source indices, if it is a flip, an order of axes and a whole shift.

    None where voxels of the two grids do not coincide.
    """
    exact = np.linalg.solve(source.affine_ras, target.affine_ras)
    whole = np.round(exact)
    turn = np.abs(whole[:3, :3])
    if not (np.array_equal(turn.sum(axis=0), (1, 1, 1)) and np.array_equal(turn.sum(1), (1, 1, 1))):
        return None
    ends = np.array([[0, 0, 0, 1], [*(n - 1 for n in target.shape), 1]], dtype=float).T
    apart = np.abs((exact - whole) @ ends)[:3].max(axis=1) * source.spacing_mm
    return whole if apart.max() < SAME_GRID_MM else None


def _reordered(
    volume: Volume, geometry: Geometry, steps: FloatArray, fill: float
) -> NDArray[np.float32]:
    """Copy voxels to a grid on which they coincide; ``steps`` as ``_whole_steps`` gives it."""
    order = np.abs(steps[:3, :3]).argmax(axis=0)  # the source axis of each target axis
    signs = steps[order, range(3)].astype(int)
    voxels = volume.voxels.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    out = np.full(geometry.shape, fill, dtype=np.float32)
    into, taken = [], []
    for axis in range(3):
        start, size = int(steps[order[axis], 3]), voxels.shape[axis]
        first = start if signs[axis] > 0 else size - 1 - start
        low, high = max(0, -first), min(geometry.shape[axis], size - first)
        into.append(slice(low, max(low, high)))
        taken.append(slice(low + first, max(low, high) + first))
    out[tuple(into)] = voxels[tuple(taken)]
    return out


def _smooth_for(volume: Volume, geometry: Geometry) -> NDArray[np.float32]:
    """Return the voxels, smoothed along the axes that the new grid samples more coarsely."""
    overlap = np.abs(volume.geometry.directions_ras.T @ geometry.directions_ras)
    target_mm = np.asarray(geometry.spacing_mm)[overlap.argmax(axis=1)]
    ratio = target_mm / np.asarray(volume.geometry.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)) / _FWHM
    if sigma.max() < 0.2:
        return np.array(volume.voxels)
    # Edge voxels are repeated, as MONAI takes what lies outside for 0: a rim in every image.
    reach = np.ceil(_SMOOTHED_SIGMAS * sigma).astype(int)
    padded = np.pad(volume.voxels, [(int(n), int(n)) for n in reach], mode="edge")
    smooth = GaussianSmooth(sigma=[max(float(s), 1e-6) for s in sigma])
    wide = np.asarray(smooth(torch.from_numpy(padded)[None])[0].numpy())
    inner = tuple(slice(n, n + size) for n, size in zip(reach, volume.voxels.shape, strict=True))
    return wide[inner]
