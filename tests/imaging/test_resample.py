"""Resampling in world coordinates: exact on linear fields, filled outside, smooth when coarser."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.resampling import to_geometry

SLOPE = np.array([0.31, -0.47, 0.22])


def linear(geometry: Geometry, offset: float = 50.0) -> Volume:
    """A field that is linear in the world, so that interpolation of it is exact."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    return Volume((world @ SLOPE + offset).astype(np.float32), geometry, "a.u.")


def turned(seed: int, *, shear: float = 0.0, mirrored: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation)) * (-1.0 if mirrored else 1.0)
    rotation[:, 2] += shear * rotation[:, 0]
    return rotation / np.linalg.norm(rotation, axis=0)


def signed_permutations() -> list[np.ndarray]:
    made = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            made.append(np.eye(3)[:, list(order)] * signs)
    return made


SOURCE = geometry_from_spacing((40, 44, 38), (2.0, 1.8, 2.1), turned(1))


@pytest.mark.parametrize(
    "directions",
    [turned(seed, shear=shear, mirrored=mirrored)
     for seed, shear, mirrored in itertools.product((2, 3), (0.0, 0.3), (False, True))],
)  # fmt: skip
def test_a_linear_field_is_exact_on_any_grid(directions: np.ndarray) -> None:
    target = geometry_from_spacing((9, 11, 13), (1.7, 1.5, 1.3), directions)
    moved = to_geometry(linear(SOURCE), target, fill=-7.0)
    assert moved.geometry is target
    np.testing.assert_allclose(moved.voxels, linear(target).voxels, atol=2e-3)
    # The control: voxels taken for those of a grid that lies 0.5 mm off do not pass.
    off = np.array(target.affine_ras)
    off[:3, 3] += 0.5
    shifted = linear(Geometry(target.shape, off)).voxels
    assert np.abs(moved.voxels - shifted).min() > 0.02


def test_all_48_axis_orders_of_the_source_give_the_same() -> None:
    target = geometry_from_spacing((7, 8, 9), (1.5, 1.5, 1.5), turned(4))
    for directions in signed_permutations():
        source = geometry_from_spacing((16, 17, 18), (1.5, 1.6, 1.7), directions)
        moved = to_geometry(linear(source), target, fill=0.0)
        np.testing.assert_allclose(moved.voxels, linear(target).voxels, atol=2e-3)


def test_a_sheared_source_is_exact() -> None:
    source = geometry_from_spacing((40, 40, 40), (2.0, 2.0, 2.0), turned(5, shear=0.4))
    target = geometry_from_spacing((9, 9, 9), (1.5, 1.5, 1.5))
    moved = to_geometry(linear(source), target, fill=0.0)
    np.testing.assert_allclose(moved.voxels, linear(target).voxels, atol=2e-3)


def test_the_same_grid_is_not_interpolated() -> None:
    volume = linear(SOURCE)
    nearly = np.array(SOURCE.affine_ras)
    nearly[:3, 3] += 2e-4
    target = Geometry(SOURCE.shape, nearly, "1.2.3")
    moved = to_geometry(volume, target, fill=0.0)
    assert moved.geometry is target
    assert moved.unit == "a.u."
    assert np.array_equal(moved.voxels, volume.voxels)
    nearly[:3, 3] += 0.01
    other = to_geometry(volume, Geometry(SOURCE.shape, nearly), fill=0.0)
    assert not np.array_equal(other.voxels, volume.voxels)


@pytest.mark.parametrize("fill", [-1000.0, 0.0, 33.0])
def test_outside_lies_the_fill(fill: float) -> None:
    source = geometry_from_spacing((6, 6, 6), (2.0, 2.0, 2.0))
    volume = Volume(np.full((6, 6, 6), 500.0, np.float32), source, "HU")
    target = geometry_from_spacing((20, 20, 20), (2.0, 2.0, 2.0))
    moved = to_geometry(volume, target, fill=fill).voxels
    np.testing.assert_allclose(moved[7:13, 7:13, 7:13], 500.0, atol=2e-3)
    outside = np.ones(target.shape, dtype=bool)
    outside[7:13, 7:13, 7:13] = False
    assert np.unique(moved[outside]).tolist() == [fill]


def test_one_slice_is_a_volume_too() -> None:
    plane = geometry_from_spacing((1, 12, 10), (3.0, 1.0, 1.0))
    target = geometry_from_spacing((1, 6, 5), (1.0, 1.0, 1.0))
    moved = to_geometry(linear(plane), target, fill=-99.0)
    np.testing.assert_allclose(moved.voxels, linear(target).voxels, atol=1e-3)


def test_coarser_grids_average_noise_and_finer_ones_do_not() -> None:
    grid = geometry_from_spacing((48, 48, 48), (1.0, 1.0, 1.0))
    noise = np.random.default_rng(0).standard_normal(grid.shape).astype(np.float32)
    volume = Volume(noise, grid, "a.u.")
    coarse = geometry_from_spacing((9, 9, 9), (4.0, 4.0, 4.0))
    smoothed = to_geometry(volume, coarse, fill=0.0).voxels.std()
    # A Gaussian of FWHM sqrt(4^2 - 1) voxels leaves (1 / (2 sqrt(pi) sigma))^(3/2) of the noise.
    sigma = np.sqrt(15.0) / 2.355
    assert smoothed == pytest.approx((2.0 * np.sqrt(np.pi) * sigma) ** -1.5, rel=0.3)
    apart = geometry_from_spacing((10, 10, 10), (1.0, 1.0, 1.0))
    assert to_geometry(volume, apart, fill=0.0).voxels.std() > 0.9


def test_only_the_axis_that_grows_coarser_is_smoothed() -> None:
    grid = geometry_from_spacing((20, 20, 20), (1.0, 1.0, 1.0))
    spike = np.zeros(grid.shape, np.float32)
    spike[10, 10, 10] = 1.0
    # The new grid's second axis runs along i, and is four times as coarse.
    directions = np.eye(3)[:, [1, 0, 2]]
    affine = np.eye(4)
    affine[:3, :3] = directions * (1.0, 4.0, 1.0)
    affine[:3, 3] = grid.to_world(np.array([2.0, 0.0, 0.0]))
    moved = to_geometry(Volume(spike, grid, "a.u."), Geometry((20, 5, 20), affine), fill=0.0).voxels
    assert 0.1 < moved[10, 2, 10] < 0.5
    beside = moved.copy()
    beside[10, :, 10] = 0.0
    assert np.abs(beside).max() < 1e-6


def test_linear_fields_survive_smoothing_far_from_the_edge() -> None:
    source = geometry_from_spacing((40, 40, 40), (1.0, 1.0, 1.0))
    target = geometry_from_spacing((5, 5, 5), (3.0, 3.0, 3.0), turned(9))
    moved = to_geometry(linear(source), target, fill=0.0)
    np.testing.assert_allclose(moved.voxels, linear(target).voxels, atol=5e-3)


def test_voxels_that_coincide_are_copied_bit_for_bit() -> None:
    source = geometry_from_spacing((7, 8, 9), (1.1, 1.3, 4.7), turned(6))
    voxels = np.random.default_rng(0).normal(size=source.shape).astype(np.float32)
    volume = Volume(voxels, source, "a.u.")
    rng = np.random.default_rng(1)
    copied = 0
    for directions in signed_permutations():
        start, shape = rng.integers(-4, 12, size=3), rng.integers(1, 10, size=3)
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = directions, start
        target = Geometry(tuple(shape), source.affine_ras @ step)
        index = np.indices(target.shape).reshape(3, -1)
        wanted = (directions @ index + start[:, None]).astype(int)
        inside = ((wanted >= 0) & (wanted < np.array(source.shape)[:, None])).all(axis=0)
        expected = np.full(inside.size, -5.0, np.float32)
        expected[inside] = voxels[tuple(wanted[:, inside])]
        moved = to_geometry(volume, target, fill=-5.0)
        assert moved.geometry is target
        assert np.array_equal(moved.voxels, expected.reshape(target.shape))
        copied += int(inside.sum())
    assert copied > 500
    # The control: a grid that lies a tenth of a voxel off is interpolated.
    step = np.eye(4)
    step[0, 3] = 0.1
    near = to_geometry(volume, Geometry(source.shape, source.affine_ras @ step), fill=-5.0)
    assert not np.isin(near.voxels[:-1], voxels).any()


def test_a_grid_that_skips_voxels_is_not_copied() -> None:
    source = geometry_from_spacing((12, 12, 12), (1.0, 1.0, 1.0))
    spike = np.zeros(source.shape, np.float32)
    spike[6, 6, 6] = 1.0
    step = np.diag([2.0, 2.0, 2.0, 1.0])
    moved = to_geometry(
        Volume(spike, source, "a.u."), Geometry((6, 6, 6), source.affine_ras @ step), fill=0.0
    )
    assert 0.0 < moved.voxels[3, 3, 3] < 0.6  # smoothed, as the new grid is coarser
