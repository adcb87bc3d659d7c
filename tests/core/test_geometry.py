"""Geometry: valid from birth, frozen, with the axes of all orders told right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medcyclegan.core.geometry import (
    Geometry,
    closest_axes,
    geometry_from_spacing,
    smoothing_sigma,
    smoothing_voxels,
    whole_steps,
)
from medcyclegan.errors import InputRefused
from tests.image_factory import OBLIQUE, all_axis_orders

SHAPE = (3, 4, 5)


def sheared(tilt: float) -> np.ndarray:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = tilt
    return affine


def with_entry(row: int, column: int, value: float) -> np.ndarray:
    affine = np.eye(4)
    affine[row, column] = value
    return affine


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, -4, 5), (3, 4), (3, 4, 5, 1)])
def test_a_shape_of_three_positive_numbers_is_needed(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputRefused, match="three axes of at least one voxel"):
        Geometry(shape, np.eye(4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("affine", "rule"),
    [
        (np.eye(3), "4 x 4"),
        (with_entry(0, 3, np.nan), "NaN or infinity"),
        (with_entry(1, 1, np.inf), "NaN or infinity"),
        (with_entry(3, 3, 2.0), "last row"),
        (with_entry(2, 2, 0.0), "singular"),
        (with_entry(2, 2, 0.0) + with_entry(2, 0, 1.0) - np.eye(4), "singular"),
    ],
)
def test_a_bad_affine_is_refused(affine: np.ndarray, rule: str) -> None:
    with pytest.raises(InputRefused, match=rule):
        Geometry(SHAPE, affine)


def test_small_voxels_are_no_singular_affine() -> None:
    assert Geometry(SHAPE, np.diag([1e-4, 1e-4, 1e-4, 1.0])).spacing_mm == (1e-4, 1e-4, 1e-4)


def test_nothing_in_it_can_be_changed() -> None:
    affine = OBLIQUE.copy()
    geometry = Geometry(SHAPE, affine)
    affine[0, 0] = 77.0
    assert np.array_equal(geometry.affine_ras, OBLIQUE)
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine_ras[0, 0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        geometry.shape = (1, 1, 1)  # type: ignore[misc]
    with pytest.raises(TypeError, match="unhashable"):
        hash(geometry)


def test_equality_is_of_every_bit_and_of_the_frame() -> None:
    one = Geometry(SHAPE, OBLIQUE)
    assert one == Geometry(SHAPE, OBLIQUE)
    assert one != Geometry((3, 4, 6), OBLIQUE)
    nearly = OBLIQUE.copy()
    nearly[0, 0] = np.nextafter(nearly[0, 0], 2.0)
    assert one != Geometry(SHAPE, nearly)
    assert one != one.with_frame("1.2.3")
    assert one.same_grid(one.with_frame("1.2.3"))
    assert one != "a geometry"


def test_axis_codes_and_spacing_of_all_48_orders() -> None:
    codes = set()
    for affine in all_axis_orders():
        geometry = Geometry(SHAPE, affine)
        assert geometry.spacing_mm == pytest.approx((0.9, 1.1, 4.4))
        expected = ""
        for axis in range(3):
            world = int(np.flatnonzero(affine[:3, axis])[0])
            expected += ("LR", "PA", "IS")[world][int(affine[world, axis] > 0)]
        assert geometry.axis_codes == expected
        codes.add(expected)
        assert not geometry.is_sheared
    assert len(codes) == 48


def test_closest_axes_is_a_permutation_even_when_oblique() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        axes = closest_axes(rotation)
        assert sorted(world for world, _ in axes) == [0, 1, 2]
        for axis, (world, sign) in enumerate(axes):
            assert sign == np.sign(rotation[world, axis])
    # Two voxel axes nearest to one world axis: the nearer gets it, the other what is left.
    directions = np.array([[0.8, 0.75, 0.0], [0.6, -0.66, 0.0], [0.0, 0.0, -1.0]])
    assert closest_axes(directions) == [(0, 1), (1, -1), (2, -1)]


@pytest.mark.parametrize(("tilt", "is_sheared"), [(0.0, False), (0.001, False), (0.1, True)])
def test_shear_is_told_from_rounding(tilt: float, is_sheared: bool) -> None:
    geometry = Geometry(SHAPE, sheared(tilt))
    assert geometry.is_sheared is is_sheared
    assert geometry.shear == pytest.approx(tilt / np.hypot(2.0, tilt), abs=1e-9)


def test_world_points_and_corners() -> None:
    geometry = Geometry(SHAPE, OBLIQUE)
    index = np.random.default_rng(0).normal(size=(2, 7, 3))
    world = geometry.to_world(index)
    assert world.shape == index.shape
    homogeneous = np.concatenate([index, np.ones((2, 7, 1))], axis=-1) @ OBLIQUE.T
    np.testing.assert_allclose(world, homogeneous[..., :3], atol=1e-12)
    corners = geometry.corners_ras_mm()
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners[0], OBLIQUE[:3, 3])
    np.testing.assert_allclose(corners[-1], (OBLIQUE @ (2.0, 3.0, 4.0, 1.0))[:3])


def test_geometry_from_spacing_is_centred() -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    for turn in (None, rotation):
        geometry = geometry_from_spacing((4, 5, 6), (1.0, 2.0, 3.0), turn)
        assert geometry.spacing_mm == pytest.approx((1.0, 2.0, 3.0))
        np.testing.assert_allclose(geometry.corners_ras_mm().mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(geometry.directions_ras, rotation, atol=1e-12)


def moved(geometry: Geometry, shift_mm: float, *, flip: bool = False) -> Geometry:
    affine = geometry.affine_ras.copy()
    if flip:
        affine[:3, 3] += affine[:3, 1] * (geometry.shape[1] - 1)
        affine[:3, 1] *= -1.0
    affine[:3, 3] += affine[:3, 0] * (shift_mm / geometry.spacing_mm[0])
    return Geometry(geometry.shape, affine)


@pytest.mark.parametrize("spacing", [(0.4, 0.5, 0.6), (2.0, 2.0, 5.0)])
def test_voxels_coincide_up_to_a_thousandth_of_a_millimetre(spacing: tuple[float, ...]) -> None:
    turned_axes = OBLIQUE[:3, :3] / np.linalg.norm(OBLIQUE[:3, :3], axis=0)
    grid = geometry_from_spacing((20, 30, 10), spacing, turned_axes)
    for flip in (False, True):
        steps = whole_steps(grid, moved(grid, 3.0 * spacing[0] + 0.0005, flip=flip))
        assert steps is not None
        assert np.array_equal(steps[:3, :3], np.diag([1.0, -1.0 if flip else 1.0, 1.0]))
        assert steps[:3, 3].tolist() == [3.0, 29.0 if flip else 0.0, 0.0]
        assert whole_steps(grid, moved(grid, 0.002, flip=flip)) is None
    turn = np.diag([np.cos(1e-3), np.cos(1e-3), 1.0])
    turn[0, 1], turn[1, 0] = -np.sin(1e-3), np.sin(1e-3)
    turned = geometry_from_spacing((20, 30, 10), spacing, turn @ turned_axes)
    assert whole_steps(grid, turned) is None
    assert (
        whole_steps(grid, geometry_from_spacing((20, 30, 5), (1.0, 1.0, 1.0), turned_axes)) is None
    )


def test_a_coarser_grid_is_smoothed_for_along_its_own_axes() -> None:
    fine = geometry_from_spacing((40, 40, 40), (1.0, 0.5, 1.0))
    coarse = geometry_from_spacing((8, 8, 8), (3.0, 2.0, 1.02), np.eye(3)[:, [1, 0, 2]])
    # j of the fine grid runs along i of the coarse one
    expected = [
        np.sqrt(4.0 - 1.0) / 2.355,
        np.sqrt(36.0 - 1.0) / 2.355,
        np.sqrt(1.02**2 - 1) / 2.355,
    ]
    assert smoothing_voxels(fine, coarse) == pytest.approx(expected)
    assert not smoothing_voxels(coarse, fine)[:2].any()
    near = geometry_from_spacing((40, 40, 40), (1.05, 0.52, 1.0))
    assert not smoothing_voxels(fine, near).any()  # less than a fifth of a voxel
    # Two blurs in a row are one whose width is the root of their squares.
    first, second = (
        smoothing_sigma(np.ones(1), np.full(1, 2.0)),
        smoothing_sigma(np.full(1, 2.0), np.full(1, 5.0)),
    )
    assert np.hypot(first, second) == pytest.approx(smoothing_sigma(np.ones(1), np.full(1, 5.0)))
