"""Model grids, and resampling onto them with MONAI, as all preprocessing of the networks.

Scores are taken with ``evaluation.study.regrid``, which says why. Which voxels coincide, and how
much is smoothed for a coarser grid, ``core.geometry`` tells both.
"""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import GaussianSmooth, SpatialResample
from numpy.typing import NDArray

from medcyclegan.core.geometry import (
    FloatArray,
    Geometry,
    closest_axes,
    smoothing_voxels,
    whole_steps,
)
from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused

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
    steps = whole_steps(volume.geometry, geometry)
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


def _reordered(
    volume: Volume, geometry: Geometry, steps: FloatArray, fill: float
) -> NDArray[np.float32]:
    """Copy voxels to a grid on which they coincide; ``steps`` as ``whole_steps`` gives it."""
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
    sigma = smoothing_voxels(volume.geometry, geometry)
    if not sigma.any():
        return np.array(volume.voxels)
    # Edge voxels are repeated, as MONAI takes what lies outside for 0: a rim in every image.
    reach = np.ceil(_SMOOTHED_SIGMAS * sigma).astype(int)
    padded = np.pad(volume.voxels, [(int(n), int(n)) for n in reach], mode="edge")
    smooth = GaussianSmooth(sigma=[max(float(s), 1e-6) for s in sigma])
    wide = np.asarray(smooth(torch.from_numpy(padded)[None])[0].numpy())
    inner = tuple(slice(n, n + size) for n, size in zip(reach, volume.voxels.shape, strict=True))
    return wide[inner]


SAGITTAL, CORONAL, AXIAL = 0, 1, 2

# Air kept around the head, so that the scalp never lies at the edge of what the network sees.
MARGIN_MM = 12.0
# A spacing this close to the model's is kept as it is: not interpolating is worth more than 5 %.
KEEP_WITHIN = 0.05
# 2 GiB as float32: more than a whole body at 1 mm. What is larger has a wrong unit of length.
MAX_VOXELS = 2**29
# Slices count as thick only beside finer pixels: 2 mm cubes are no slices.
THICK_TO_PIXEL = 1.4


def slice_axis(geometry: Geometry, task: Task) -> int:
    """World axis (0 sagittal, 1 coronal, 2 axial) that slabs run along.

    The acquisition's own slice axis where slices are thick or there is but one; else axial.
    """
    if geometry.shape.count(1) == 1:
        return closest_axes(geometry.directions_ras)[geometry.shape.index(1)][0]
    spacing = np.asarray(geometry.spacing_mm)
    thickest = int(np.argmax(spacing))
    others = np.delete(spacing, thickest)
    is_thick = spacing[thickest] >= task.thick_slice_mm
    if is_thick and spacing[thickest] >= THICK_TO_PIXEL * others.max():
        return closest_axes(geometry.directions_ras)[thickest][0]
    return AXIAL


def model_geometry(geometry: Geometry, head: Volume, task: Task, *, normal: int) -> Geometry:
    """Return the grid (D, H, W) for slabs along the world axis ``normal``.

    Its axes are the scan's own, put into the order (normal, then the others as R, A, S count) and
    pointing to R, A, S; so no scan is turned, only resampled along its axes. It covers the box
    around ``head`` (a mask on the scan's grid) with a margin.

    Distances: ``task.spacing_mm``; the scan's own if that is None, where it is within 5 %, and
    along the normal where its slices are thick or there is but one.

    Raises
    ------
    InputRefused
        If it would have more than ``MAX_VOXELS``.
    """
    low, high = _head_box(head)
    axes = closest_axes(geometry.directions_ras)
    wanted = [normal] + [world for world in range(3) if world != normal]
    order = [[world for world, _ in axes].index(world) for world in wanted]
    signs = np.array([axes[axis][1] for axis in order], dtype=float)
    spacing = np.asarray(geometry.spacing_mm)[order]
    wanted_mm = spacing if task.spacing_mm is None else np.full(3, task.spacing_mm)
    kept = np.abs(spacing / wanted_mm - 1.0) <= KEEP_WITHIN
    margin_mm = np.full(3, MARGIN_MM)
    if slice_axis(geometry, task) == normal and spacing[0] >= task.thick_slice_mm:
        kept[0], margin_mm[0] = True, 0.0
    if geometry.shape[order[0]] == 1:
        kept[0], margin_mm[0] = True, 0.0
    step_mm = np.where(kept, spacing, wanted_mm)
    # whole voxels on both sides alike: where the spacing is kept, voxels coincide with the scan's
    margin = np.ceil(margin_mm / step_mm)
    covered = np.maximum(1.0, np.round((high - low + 1.0)[order] * spacing / step_mm))
    _refuse_large(covered + 2.0 * margin, step_mm)
    shape = (covered + 2.0 * margin).astype(int)
    centre = geometry.to_world((low + high) / 2.0)
    return Geometry(
        (int(shape[0]), int(shape[1]), int(shape[2])),
        _affine(geometry.directions_ras[:, order] * signs * step_mm, centre, shape),
        geometry.frame_of_reference_uid,
    )


def plane_model_geometry(geometry: Geometry, task: Task) -> Geometry:
    """Return the grid (1, H, W) for a picture or radiograph: its pixels, in the order of volumes.

    With ``task.plane_px`` the shorter side gets so many pixels; the outermost pixels of the two
    grids coincide, so that nothing lies outside on the way there or back.
    """
    axes = closest_axes(geometry.directions_ras)
    order = [[world for world, _ in axes].index(world) for world in (AXIAL, SAGITTAL, CORONAL)]
    signs = np.array([axes[axis][1] for axis in order], dtype=float)
    shape = np.asarray(geometry.shape)[order]
    step_mm = np.asarray(geometry.spacing_mm)[order]
    wanted = shape.copy()
    if task.plane_px is not None:
        wanted[1:] = np.maximum(2, np.round(shape[1:] * (task.plane_px / shape[1:].min())))
        step_mm = step_mm * np.maximum(shape - 1, 1) / np.maximum(wanted - 1, 1)
    centre = geometry.to_world((np.asarray(geometry.shape) - 1) / 2.0)
    return Geometry(
        (int(wanted[0]), int(wanted[1]), int(wanted[2])),
        _affine(geometry.directions_ras[:, order] * signs * step_mm, centre, wanted),
        geometry.frame_of_reference_uid,
    )


def _refuse_large(shape: FloatArray, step_mm: FloatArray) -> None:
    if np.prod(shape) > MAX_VOXELS:
        extent = " x ".join(f"{length:.3g}" for length in shape * step_mm)
        raise InputRefused(
            f"The body in view spans {extent} mm, {np.prod(shape):.3g} voxels on the model's grid",
            rule=f"at most {MAX_VOXELS} are translated",
            remedy="check the unit of length in the header, or crop the image",
        )


def _affine(columns: FloatArray, centre: FloatArray, shape: FloatArray) -> FloatArray:
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = centre - columns @ ((shape - 1) / 2.0)
    return affine


def _head_box(head: Volume) -> tuple[FloatArray, FloatArray]:
    """First and last voxel index of the mask along each axis."""
    inside = head.voxels > 0
    low, high = np.zeros(3), np.asarray(head.geometry.shape) - 1.0
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(inside.any(axis=others))
        if hit.size:
            low[axis], high[axis] = hit[0], hit[-1]
    return low, high
