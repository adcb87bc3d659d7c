"""Volumes from label maps: as large as the head, upright, aligned, of any orientation."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import UsageError
from medcyclegan.simulate.head_pairs import Pair
from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue, middle_voxel
from medcyclegan.simulate.label_heads.heads import (
    LabelHeads,
    LabelSlices,
    draw_upright,
    geometry_of,
)
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import head_labels

SLICES = LabelSlices(pixel_mm=4.0, spacing_mm=6.0, thickness_mm=5.0)


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def pair_of(head: HeadAnatomy, slices: LabelSlices = SLICES, *, subject: int = 1) -> Pair:
    return LabelHeads((head,) * subject, slices, "t1").pair(seed=1, subject=subject)


@pytest.mark.parametrize(
    ("orientation", "codes"), [("axial", "LPS"), ("coronal", "LIA"), ("sagittal", "PIR")]
)
def test_slices_lie_as_asked_for_and_hold_the_head(
    head: HeadAnatomy, orientation: str, codes: str
) -> None:
    slices = LabelSlices(3.0, 5.0, 5.0, orientation)
    pair = pair_of(head, slices)
    assert pair.a.geometry == pair.b.geometry
    assert pair.b.geometry.axis_codes == codes
    assert pair.b.geometry.spacing_mm == pytest.approx((3.0, 3.0, 5.0))
    dense = pair.b.voxels > -500.0
    # a ball of 108 mm, which a subject has scaled by 0.8 to 1.25 along each axis
    volume_ml = dense.sum() * 3.0 * 3.0 * 5.0 / 1000.0
    assert 0.5 < volume_ml / (4 / 3 * np.pi * 5.4**3) < 2.0
    border = np.concatenate([dense[[0, -1]].ravel(), dense[:, [0, -1]].ravel()])
    assert border.mean() < 0.02


def test_mr_and_ct_are_aligned(head: HeadAnatomy) -> None:
    pair, other = pair_of(head), pair_of(head, subject=2)
    assert (pair.a.unit, pair.b.unit) == ("a.u.", "HU")
    air = pair.b.voxels < -990.0
    tissue = (pair.b.voxels > -150.0) & (pair.b.voxels < 100.0)
    assert np.median(pair.a.voxels[air]) < 0.3 * np.median(pair.a.voxels[tissue])
    assert agreement(pair, pair) > agreement(pair, other) + 0.01  # the control


def agreement(mr: Pair, ct: Pair) -> float:
    signal = mr.a.voxels > 0.3 * np.percentile(mr.a.voxels, 95)
    i, j, k = (min(n, m) for n, m in zip(mr.a.voxels.shape, ct.b.voxels.shape, strict=True))
    dense = (ct.b.voxels > -500.0) & (ct.b.voxels < 1000.0)  # marrow has signal too
    return float((signal[:i, :j, :k] == dense[:i, :j, :k]).mean())


def test_seed_and_subject_fix_every_bit(head: HeadAnatomy) -> None:
    first = pair_of(head)
    again, other = pair_of(head), pair_of(head, subject=2)
    assert again.a.voxels.tobytes() == first.a.voxels.tobytes()
    assert again.b.voxels.tobytes() == first.b.voxels.tobytes()
    assert other.b.voxels.tobytes() != first.b.voxels.tobytes()


@pytest.mark.parametrize("normal_axis", [0, 1, 2])
def test_heads_are_upright_and_look_forward(head: HeadAnatomy, normal_axis: int) -> None:
    grid = SlabGrid(24, 40, 4.0, 6.0, 6.0, normal_axis)

    def eye_mm(slab: TissueSlab) -> float:
        """How far the eye lies in front of the middle; slabs are (axis, two other axes)."""
        axes = [normal_axis] + [axis for axis in range(3) if axis != normal_axis]
        along = axes.index(1)
        places = np.argwhere(slab.tissue == Tissue.EYE_FLUID)[:, along]
        middle = (slab.tissue.shape[along] - 1) / 2.0
        return float((places.mean() - middle) * grid.sampled_spacing_mm[along])

    def rng(seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    upright = [eye_mm(draw_upright(head, grid, rng(seed))) for seed in range(16)]
    assert min(upright) > 15.0
    any_way = [draw_tissue(head, grid, rng(seed), place=middle_voxel) for seed in range(48)]
    assert min(eye_mm(slab) for slab in any_way) < -15.0  # the control


def test_the_place_of_a_slab_is_that_of_its_axes() -> None:
    grid = SlabGrid(4, 6, 2.0, 5.0, 5.0, 0)
    geometry = geometry_of(grid)
    expected = Geometry(
        (6, 6, 4),
        np.array([[0, 0, 5.0, -7.5], [-2.0, 0, 0, 5], [0, -2.0, 0, 5], [0, 0, 0, 1]]),
    )
    assert geometry == expected


def test_a_size_can_be_given(head: HeadAnatomy) -> None:
    slices = LabelSlices(4.0, 6.0, 6.0, "axial", (20, 5))
    assert pair_of(head, slices).a.voxels.shape == (20, 20, 5)


def test_what_cannot_be_is_refused(head: HeadAnatomy) -> None:
    for thickness_mm in (0.6, 6.5):
        with pytest.raises(UsageError, match=r"0.7 to 6.0 mm"):
            LabelSlices(1.0, 5.0, thickness_mm)
    with pytest.raises(UsageError, match="sagittal, coronal, axial, random"):
        LabelSlices(1.0, 5.0, 5.0, "oblique")
    with pytest.raises(UsageError, match="Contrast"):
        LabelHeads((head,), SLICES, "t3")
