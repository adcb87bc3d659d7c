"""Surfaces below a voxel: distances between voxels, and the shares of a sample's two tissues."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, Labelled, prepare_head
from medcyclegan.simulate.label_heads.sampling import Layers, interpolated, look_up, with_brain_of
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import head_labels

GRID = SlabGrid(9, 40, 1.0, 1.0, 1.0, 2)


def test_four_bytes_are_interpolated_at_once_as_each_would_be_alone() -> None:
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(128.0, 400.0, (4, 12, 13, 14)), (0, 2, 2, 2))
    channels = np.clip(smooth, 0, 255).astype(np.uint8)
    words = sum(channels[n].astype(np.uint32) << np.uint32(8 * n) for n in range(4))
    points = [rng.uniform(0.0, n - 1.01, 500).astype(np.float32) for n in words.shape]
    found = interpolated(np.ascontiguousarray(words), points)
    for n in range(4):
        mine = ((found >> np.uint32(8 * n)) & np.uint32(255)).astype(float)
        exact = ndimage.map_coordinates(channels[n].astype(float), points, order=1)
        assert np.abs(mine - exact).max() <= 2.0
        assert abs(float((mine - exact).mean())) < 0.15
        nearest = ndimage.map_coordinates(channels[n].astype(float), points, order=0)
        assert np.abs(nearest - exact).mean() > 3.0 * np.abs(mine - exact).mean()  # the control


@pytest.mark.parametrize("off_mm", [0.0, 0.2, 0.37, 0.5, 0.81])
def test_the_volume_within_a_surface_is_that_of_its_place_not_of_its_samples(off_mm: float) -> None:
    column = np.arange(40, dtype=np.float32)[None, None, :] - np.float32(20.0 + off_mm)
    distance = np.broadcast_to(column, GRID.sampled_shape)
    layers = Layers(np.full(GRID.sampled_shape, np.uint8(Tissue.MUSCLE)), 1.0)
    layers.lay(np.arange(distance.size), distance.ravel(), Tissue.CORTICAL_BONE)
    slab = TissueSlab(
        layers.tissue, GRID, np.zeros(GRID.sampled_shape, np.float32), layers.surfaces()
    )
    table = np.zeros(len(Tissue))
    table[Tissue.CORTICAL_BONE] = 1.0
    width = float(slab.paint(table).sum(axis=-1).mean())
    assert width == pytest.approx(20.5 + off_mm, abs=1e-4)
    if off_mm not in (0.0, 0.5):  # the control: by their labels alone samples are in or out
        labelled = float((slab.tissue == Tissue.CORTICAL_BONE).sum(axis=-1).mean())
        assert abs(labelled - (20.5 + off_mm)) > 0.1


def test_a_layer_that_fills_a_sample_leaves_nothing_of_those_below() -> None:
    layers = Layers(np.full((1, 1, 2), np.uint8(Tissue.MUSCLE)), 1.0)
    place = np.arange(2)
    layers.lay(place, np.array([-0.1, -0.1], np.float32), Tissue.CORTICAL_BONE)
    layers.lay(place, np.array([-3.0, 3.0], np.float32), Tissue.AIR)
    surfaces = layers.surfaces()
    assert layers.tissue.ravel().tolist() == [Tissue.AIR, Tissue.CORTICAL_BONE]
    assert surfaces.place.tolist() == [1]
    assert surfaces.other.tolist() == [Tissue.MUSCLE]
    assert surfaces.share[0] == pytest.approx(0.4)


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def roughness_mm(inside: np.ndarray) -> float:
    """How far the outline of a round mask (H, W) at 1 mm, its back half, departs from smooth."""
    rim = np.argwhere(inside & ~ndimage.binary_erosion(inside))
    off = rim - np.argwhere(inside).mean(axis=0)
    off = off[off[:, 1] < 0.0]
    radius = np.hypot(*off.T)[np.argsort(np.arctan2(*off.T))]
    return float((radius - ndimage.uniform_filter1d(radius, 31, mode="nearest")).std())


def test_a_surface_between_voxels_has_no_steps(head: HeadAnatomy) -> None:
    """A ball labelled at 4 mm, looked up at 1 mm."""
    n = np.arange(32 * 4, dtype=np.float32) / 4.0
    i, j = np.meshgrid(n, n, indexing="ij")
    maps = look_up(head, [i[None], j[None], np.full_like(i, 16.0)[None]])
    between = roughness_mm(ndimage.binary_fill_holes(maps["bone_distance"][0] < 128))
    bone = (maps["labelled"][0] == Labelled.COMPACT) | (maps["labelled"][0] == Labelled.MARROW)
    labelled = roughness_mm(ndimage.binary_fill_holes(bone))
    assert between < 0.75 * labelled  # the control


def test_a_smaller_brain_leaves_fluid_around_it(head: HeadAnatomy) -> None:
    n = [np.arange(size, dtype=np.float32) for size in head.nearest.shape]
    index = list(np.meshgrid(*n, indexing="ij"))
    soft = look_up(head, index)["soft"]
    small = with_brain_of(0.8, head, index, soft)
    brain = [int((tissue == Tissue.WHITE_MATTER).sum()) for tissue in (soft, small)]
    # The map's brain goes on below bone as its nearest soft tissue, so the ball's own is compared.
    assert brain[1] / brain[0] == pytest.approx(0.8**3, abs=0.1)
    assert ((small == Tissue.CSF) & (soft == Tissue.WHITE_MATTER)).any()
    assert np.array_equal(
        with_brain_of(1.0, head, index, soft) == Tissue.MUSCLE, soft == Tissue.MUSCLE
    )
