"""Resampling onto the reference's grid: exact where it can be, and the same as for the network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.study.regrid import onto_grid
from medcyclegan.imaging.resampling import to_geometry

GRID = geometry_from_spacing((9, 8, 7), (2.0, 2.0, 3.0))


def ramp(geometry: Geometry) -> Volume:
    """Values that are linear in space, which linear interpolation keeps exactly."""
    place = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1).astype(np.float64))
    return Volume((place @ (3.0, -2.0, 5.0) + 7.0).astype(np.float32), geometry, "HU")


def noise(geometry: Geometry) -> Volume:
    values = np.random.default_rng(0).normal(size=geometry.shape)
    return Volume(values.astype(np.float32), geometry, "HU")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_other_axis_orders_of_one_grid_are_undone_exactly(order: tuple[int, ...]) -> None:
    source = noise(GRID)
    affine = GRID.affine_ras.copy()
    affine[:3, 3] += affine[:3, 0] * (GRID.shape[0] - 1)
    affine[:3, 0] *= -1.0
    turned = Volume(
        source.voxels[::-1].transpose(order),
        Geometry(source.voxels.transpose(order).shape, affine[:, [*order, 3]]),
        "HU",
    )
    back, seen = onto_grid(turned, GRID, fill=-1024.0)
    assert np.allclose(back.voxels, source.voxels, atol=1e-6)
    assert seen.all()
    assert not np.allclose(source.voxels[::-1], source.voxels, atol=0.1)


def test_a_ramp_stays_a_ramp_on_an_oblique_finer_grid() -> None:
    angle = np.radians(11.0)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    target = geometry_from_spacing((5, 5, 4), (1.1, 1.3, 1.7), turn)
    moved, seen = onto_grid(ramp(GRID), target, fill=-1024.0)
    assert seen.all()
    assert np.allclose(moved.voxels, ramp(target).voxels, atol=1e-3)


def test_it_agrees_with_the_resampling_of_the_network() -> None:
    shifted = GRID.affine_ras.copy()
    shifted[:3, 3] += (2.7, 2.9, 3.8)
    target = Geometry((6, 5, 4), shifted)
    ours, _ = onto_grid(noise(GRID), target, fill=0.0)
    theirs = to_geometry(noise(GRID), target, fill=0.0)
    assert np.allclose(ours.voxels, theirs.voxels, atol=1e-4)
    assert not np.allclose(ours.voxels, noise(GRID).voxels[1:7, 1:6, 1:5], atol=0.1)


def test_noise_does_not_alias_onto_a_coarser_grid() -> None:
    fine = noise(geometry_from_spacing((30, 30, 30), (1.0, 1.0, 1.0)))
    coarse = geometry_from_spacing((10, 10, 10), (3.0, 3.0, 3.0))
    assert onto_grid(fine, coarse, fill=0.0)[0].voxels.std() < 0.3
    assert fine.voxels[1::3, 1::3, 1::3].std() > 0.9


def test_half_a_voxel_beyond_the_centres_is_seen_and_no_more() -> None:
    source = geometry_from_spacing((4, 4, 4), (2.0, 2.0, 2.0))
    target = geometry_from_spacing((14, 4, 4), (1.0, 2.0, 2.0))
    moved, seen = onto_grid(ramp(source), target, fill=-1024.0)
    # The source's voxels reach from -4 to 4 mm, the target's centres lie at -6.5 ... 6.5 mm.
    assert seen[:, 0, 0].tolist() == [False] * 3 + [True] * 8 + [False] * 3
    assert (moved.voxels[~seen] == -1024.0).all()
    assert (moved.voxels[seen] > -100.0).all()
