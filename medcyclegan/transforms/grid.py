"""The grid that a network works on, chosen from the scan's grid."""

from __future__ import annotations

import numpy as np

from medcyclegan.geometry import FloatArray, Geometry, closest_axes
from medcyclegan.task import Task
from medcyclegan.volume import Volume

SAGITTAL, CORONAL, AXIAL = 0, 1, 2

# Air kept around the head, so that the scalp never lies at the edge of what the network sees.
MARGIN_MM = 12.0
# A spacing this close to the model's is kept as it is: not interpolating is worth more than 5 %.
KEEP_WITHIN = 0.05
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
