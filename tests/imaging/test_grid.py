"""The model grid: around the head with a margin, thick slices kept, the same for all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.imaging.resampling import (
    AXIAL,
    CORONAL,
    MARGIN_MM,
    SAGITTAL,
    model_geometry,
    slice_axis,
)
from tests.tiny_model import head_on, tiny_task

TASK = tiny_task(spacing_mm=2.0, thick_slice_mm=3.0)


def reordered(geometry: Geometry, order: tuple[int, ...], signs: tuple[int, ...]) -> Geometry:
    """The same voxels, their axes permuted and flipped."""
    change = np.zeros((4, 4))
    change[3, 3] = 1.0
    for axis, (old, sign) in enumerate(zip(order, signs, strict=True)):
        change[old, axis] = sign
        if sign < 0:
            change[old, 3] = geometry.shape[old] - 1
    shape = tuple(geometry.shape[old] for old in order)
    return Geometry((shape[0], shape[1], shape[2]), geometry.affine_ras @ change)


def orders() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    signs = list(itertools.product((1, -1), repeat=3))
    return list(itertools.product(itertools.permutations(range(3)), signs))


@pytest.mark.parametrize("normal", [SAGITTAL, CORONAL, AXIAL])
def test_the_head_and_a_margin_are_covered(normal: int) -> None:
    geometry = geometry_from_spacing((60, 56, 52), (2.4, 2.2, 2.6))
    _, head = head_on(geometry, radius_mm=40.0)
    grid = model_geometry(geometry, head, TASK, normal=normal)
    assert grid.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    wanted = [normal, *(axis for axis in range(3) if axis != normal)]
    assert grid.axis_codes == "".join("RAS"[axis] for axis in wanted)
    reach = np.abs(grid.corners_ras_mm()).min(axis=0)
    assert (reach >= 40.0 + MARGIN_MM - 4.0).all()
    assert (reach <= 40.0 + MARGIN_MM + 4.0).all()
    # The control: a smaller head has a smaller grid.
    small = model_geometry(geometry, head_on(geometry, radius_mm=20.0)[1], TASK, normal=normal)
    assert all(a < b - 15 for a, b in zip(small.shape, grid.shape, strict=True))


def test_the_model_grid_is_the_same_in_space_for_all_48_orders() -> None:
    turn, _ = np.linalg.qr(np.eye(3) + 0.1 * np.random.default_rng(2).normal(size=(3, 3)))
    turn *= np.sign(np.diag(turn))
    for spacing in ((2.1, 2.0, 2.2), (1.5, 1.6, 5.0)):
        base = geometry_from_spacing((40, 41, 28), spacing, turn)
        _, head = head_on(base, radius_mm=30.0)
        wanted_axis = slice_axis(base, TASK)
        wanted = model_geometry(base, head, TASK, normal=wanted_axis)
        for order, signs in orders():
            geometry = reordered(base, order, signs)
            _, turned_head = head_on(geometry, radius_mm=30.0)
            assert slice_axis(geometry, TASK) == wanted_axis
            grid = model_geometry(geometry, turned_head, TASK, normal=wanted_axis)
            assert grid.shape == wanted.shape
            np.testing.assert_allclose(grid.affine_ras, wanted.affine_ras, atol=1e-9)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((1.0, 1.0, 1.0), AXIAL),
        ((4.0, 4.0, 4.0), AXIAL),  # large cubes are no slices
        ((1.0, 1.0, 5.0), AXIAL),
        ((1.0, 5.0, 1.0), CORONAL),
        ((5.0, 1.0, 1.0), SAGITTAL),
        ((2.9, 1.0, 1.0), AXIAL),  # below thick_slice_mm
        ((3.0, 1.0, 1.0), SAGITTAL),
        ((3.5, 2.6, 1.0), AXIAL),  # not thick beside its pixels
    ],
)
def test_slabs_run_along_thick_slices_and_else_along_the_body(
    spacing: tuple[float, float, float], axis: int
) -> None:
    assert slice_axis(geometry_from_spacing((9, 9, 9), spacing), TASK) == axis


def test_thick_slices_keep_their_planes() -> None:
    geometry = geometry_from_spacing((60, 22, 60), (1.2, 5.0, 1.2))
    _, head = head_on(geometry, radius_mm=30.0)
    grid = model_geometry(geometry, head, TASK, normal=CORONAL)
    assert grid.spacing_mm == pytest.approx((5.0, 2.0, 2.0))
    own = {round(float(y), 6) for y in geometry.to_world(np.indices((1, 22, 1)).T)[..., 1].ravel()}
    index = np.stack([np.arange(grid.shape[0]), *np.zeros((2, grid.shape[0]))], axis=-1)
    planes = {round(float(y), 6) for y in grid.to_world(index)[:, 1]}
    assert planes < own
    assert len(planes) == 12  # 60 mm of head in slices 5 mm apart, and none of air
    # Across the thick slices, the grid is the task's own.
    other = model_geometry(geometry, head, TASK, normal=AXIAL)
    assert other.spacing_mm == pytest.approx((2.0, 2.0, 2.0))


def test_an_empty_mask_means_the_whole_scan_and_the_frame_is_kept() -> None:
    geometry = geometry_from_spacing((20, 20, 20), (2.0, 2.0, 2.0)).with_frame("1.2.3")
    _, head = head_on(geometry)
    empty = head.with_voxels(np.zeros(geometry.shape, np.float32))
    grid = model_geometry(geometry, empty, TASK, normal=AXIAL)
    assert grid.shape == (32, 32, 32)
    assert grid.frame_of_reference_uid == "1.2.3"


def test_a_single_slice_has_a_grid() -> None:
    geometry = geometry_from_spacing((40, 40, 1), (1.0, 1.0, 5.0))
    _, head = head_on(geometry, radius_mm=15.0)
    grid = model_geometry(geometry, head, TASK, normal=AXIAL)
    assert grid.shape[0] == 1
    assert grid.corners_ras_mm()[:, 2] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("own_mm", "kept"), [(2.0, True), (2.09, True), (1.91, True), (2.2, False)]
)
def test_a_spacing_near_the_model_s_is_kept_and_its_voxels_coincide(
    own_mm: float, kept: bool
) -> None:
    geometry = geometry_from_spacing((50, 51, 52), (own_mm, own_mm, own_mm))
    _, head = head_on(geometry, radius_mm=30.0)
    grid = model_geometry(geometry, head, TASK, normal=AXIAL)
    assert grid.spacing_mm == pytest.approx((own_mm if kept else 2.0,) * 3)
    offset = (grid.affine_ras[:3, 3] - geometry.affine_ras[:3, 3]) / own_mm
    assert np.allclose(offset, np.round(offset), atol=1e-6) is kept
