"""Holes and streaks of a synthetic CT are found where they were made, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.check_real_scans import holes, streaks
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume

SHAPE, SPACING_MM = (60, 60, 60), (3.0, 3.0, 3.0)
OUTER_MM, INNER_MM = 78.0, 70.0


def _head() -> tuple[Volume, Volume, np.ndarray]:  # type: ignore[type-arg]
    """A ball of water in a shell of bone, its mask, and the points of the voxels (i, j, k, 3)."""
    geometry = geometry_from_spacing(SHAPE, SPACING_MM)
    points = geometry.to_world(np.argwhere(np.ones(SHAPE, bool)).astype(float))
    points = (points - points.mean(axis=0)).reshape(*SHAPE, 3)
    radius = np.linalg.norm(points, axis=-1)
    hu = np.where(radius < OUTER_MM, np.where(radius < INNER_MM, 30.0, 1000.0), -1000.0)
    body = Volume((radius < OUTER_MM).astype(np.float32), geometry, "mask")
    return Volume(hu.astype(np.float32), geometry, "HU"), body, points


def test_a_closed_vault_has_no_holes_and_an_open_one_as_many_as_were_cut() -> None:
    ct, body, points = _head()
    assert holes(ct, body) == 0.0
    cut_deg = 30.0  # a cone from the vertex down; rays reach to 25 degrees above the level
    cone = points[..., 2] > np.cos(np.deg2rad(cut_deg)) * np.linalg.norm(points, axis=-1)
    opened = ct.with_voxels(np.where(cone & (ct.voxels > 250.0), 30.0, ct.voxels))
    expected = (1.0 - np.cos(np.deg2rad(cut_deg))) / (1.0 - np.sin(np.deg2rad(25.0)))
    assert holes(opened, body) == pytest.approx(expected, abs=0.06)


def test_streaks_are_changes_between_slices_that_the_mr_has_not() -> None:
    ct, body, _ = _head()
    rng = np.random.default_rng(1)
    texture = rng.normal(0.0, 5.0, SHAPE).astype(np.float32)
    inside = ct.voxels == 30.0
    even = ct.with_voxels(np.where(inside, ct.voxels + texture, ct.voxels).astype(np.float32))
    stripes = np.where(np.arange(SHAPE[2]) % 2, 20.0, -20.0).astype(np.float32)
    striped = even.with_voxels(np.where(inside, even.voxels + stripes, even.voxels))
    found = {
        name: streaks(mr, made, body, normal=2)
        for name, mr, made in (
            ("even", even, even),
            ("in both", striped, striped),
            ("made up", even, striped),
        )
    }
    assert found["even"] == pytest.approx(1.0, abs=0.02)
    assert found["in both"] == pytest.approx(1.0, abs=0.02)
    assert found["made up"] > 2.0
    assert streaks(even, striped, body, normal=0) < 1.0
