"""Smooth outlines of labelled bone: what they follow, and what they must not lose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medcyclegan.simulate.label_heads.cleaning import (
    signed_distance,
    smoothed,
    surface_distance,
    without_specks,
)

SHAPE = (36, 36, 36)
SPACING_MM = (1.0, 1.0, 1.0)
MIDDLE = (slice(8, -8),) * 3
TILTED = (np.array([0.3, 0.2, 1.0]), np.array([0.1, 0.0, 1.0]), np.array([1.0, 0.8, 0.6]))


def off_a_plane(normal: np.ndarray) -> np.ndarray:
    """Millimetres (i, j, k) from a plane through about the middle."""
    axes = [np.arange(n) - (n - 1) / 2.0 for n in SHAPE]
    unit = normal / np.linalg.norm(normal)
    grid = np.meshgrid(*axes, indexing="ij")
    return sum(part * along for part, along in zip(unit, grid, strict=True)) + 0.13


def error_at_surface(found: np.ndarray, exact: np.ndarray) -> float:
    near = np.abs(exact[MIDDLE]) < 0.5
    return float((found - exact)[MIDDLE][near].std())


def volume(distance: np.ndarray) -> int:
    """Of what lies within the surface, interpolated to quarters of a voxel."""
    return int((ndimage.zoom(distance[MIDDLE], 4, order=1) < 0.0).sum())


@pytest.mark.parametrize("normal", TILTED)
def test_a_tilted_wall_has_fewer_steps_than_its_voxels(normal: np.ndarray) -> None:
    exact = np.abs(off_a_plane(normal)) - 4.0
    inside = exact < 0.0
    stepped = error_at_surface(signed_distance(inside, SPACING_MM), exact)
    smooth = error_at_surface(surface_distance(inside, SPACING_MM), exact)
    assert stepped > 0.13  # the control
    assert smooth < 0.7 * stepped


@pytest.mark.parametrize("normal", TILTED)
def test_a_plate_of_two_voxels_is_as_thick_as_before(normal: np.ndarray) -> None:
    exact = np.abs(off_a_plane(normal)) - 1.25
    inside = exact < 0.0
    true = volume(exact)
    assert volume(surface_distance(inside, SPACING_MM)) == pytest.approx(true, rel=0.05)
    blurred = smoothed(signed_distance(inside, SPACING_MM), 1.0, SPACING_MM)
    assert volume(blurred) < 0.88 * true  # the control


def test_a_plate_of_one_voxel_stays() -> None:
    inside = np.zeros(SHAPE, dtype=bool)
    inside[:, :, 18] = True
    found = surface_distance(inside, SPACING_MM)
    assert (found[:, :, 18] == -0.5).all()
    assert (found[:, :, [17, 19]] == 0.5).all()
    blurred = smoothed(signed_distance(inside, SPACING_MM), 0.8, SPACING_MM)
    assert blurred.min() > 0.0  # the control: it would be gone


def test_no_voxel_changes_sides() -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal(SHAPE), 1.5)
    inside = noise > 0.05
    found = surface_distance(inside, SPACING_MM)
    assert found[inside].max() <= 0.0
    assert found[~inside].min() >= 0.0
    blurred = smoothed(signed_distance(inside, SPACING_MM), 0.8, SPACING_MM)
    assert ((blurred < 0.0) != inside).mean() > 0.02  # the control


def test_distances_are_in_millimetres() -> None:
    inside = np.zeros(SHAPE, dtype=bool)
    inside[:, :, :18] = True
    for mm in (1.0, 2.5):
        found = surface_distance(inside, (mm, mm, mm))[:, :, 14:22]
        assert found == pytest.approx(
            np.broadcast_to((np.arange(14, 22) - 17.5) * mm, found.shape), abs=0.05 * mm
        )


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_kind_has_no_surface(value: bool) -> None:
    inside = np.full((6, 6, 6), value)
    assert np.array_equal(surface_distance(inside, SPACING_MM), signed_distance(inside, SPACING_MM))


def test_specks_of_marrow_go_and_its_outline_stays() -> None:
    bone = np.zeros(SHAPE, dtype=bool)
    bone[4:-4, 4:-4, 12:24] = True
    marrow = np.zeros(SHAPE, dtype=bool)
    marrow[4:-4, 4:-4, 15:21] = True
    specks = np.zeros(SHAPE, dtype=bool)
    specks[10:-10:5, 10:-10:5, 13] = True
    holes = np.zeros(SHAPE, dtype=bool)
    holes[10:-10:5, 10:-10:5, 18] = True
    found = without_specks((marrow | specks) & ~holes, bone, SPACING_MM)
    assert specks.sum() == holes.sum() > 8  # the control
    assert np.array_equal(found, marrow)
