"""A shunt is a tube from the vault to a ventricle: bright in CT, dark in MR, and rare."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.contrasts import standard_signal
from medcyclegan.simulate.label_heads import shunt as shunts
from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.label_heads.sampling import Layers
from medcyclegan.simulate.label_heads.shunt import Shunt, draw_shunt, silicone_hu
from medcyclegan.simulate.label_heads.slabs import render_ct
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import head_labels

GRID = SlabGrid(21, 41, 0.5, 0.5, 0.5, 2)
MM = (1.0, 1.0, 1.0)
TUBE = Shunt(
    np.array([0.0, 0.0, 40.0], np.float32), np.array([0.0, 0.0, 0.0], np.float32),
    1.3, 0.65, 4.0, silicone_hu(0.08) / 1900.0,
)  # fmt: skip


def test_silicone_is_as_bright_as_what_it_holds() -> None:
    assert silicone_hu(0.0) == pytest.approx(230.0, abs=30.0)  # clear silicone
    shares = np.array([silicone_hu(share) for share in (0.02, 0.05, 0.08, 0.12)])
    assert (np.diff(shares) > 0).all()
    assert 500.0 < shares[0] < 1000.0
    assert 2000.0 < shares[-1] < 3000.0
    grams = 0.08 * 0.588 * 5.6  # by hand: barium alone, in a gram
    assert silicone_hu(0.08) > 1000.0 * (grams * 1.13 / 0.193 - 1.0)


def _slab() -> tuple[TissueSlab, np.ndarray]:
    """White matter around a tube along the slices, and the distance from its axis, mm (H, W)."""
    n = (np.arange(41) - 20.0) * 0.5
    z = 20.0 + (np.arange(21) - 10.0) * 0.5
    index = [values.astype(np.float32) for values in np.meshgrid(z, n, n, indexing="ij")]
    index = [index[1], index[2], index[0]]
    layers = Layers(np.full(GRID.sampled_shape, np.uint8(Tissue.WHITE_MATTER)), 0.5)
    share = np.zeros(GRID.sampled_shape, np.float32)
    TUBE.lay(layers, share, index, MM)
    slab = TissueSlab(layers.tissue, GRID, share, layers.surfaces())
    return slab, np.hypot(index[0][10], index[1][10])


def test_its_wall_is_bright_in_ct_and_dark_in_mr_and_its_lumen_is_fluid() -> None:
    slab, from_axis = _slab()
    wall = (from_axis > 0.9) & (from_axis < 1.1)
    brain = from_axis > 2.5
    ct = render_ct(slab, np.random.default_rng(0))[10]
    assert ct[wall].mean() > 600.0
    assert ct[brain].max() < 80.0
    area_mm2 = float((slab.tissue[10] == Tissue.TOOTH).sum()) * 0.25
    assert area_mm2 == pytest.approx(np.pi * (1.3**2 - 0.65**2), rel=0.25)
    for kind in ("t1", "t2", "flair"):
        mr = slab.paint(standard_signal(kind))[10]
        assert mr[wall].mean() < 0.35 * mr[brain].mean()
    assert slab.tissue[10][from_axis < 0.4].tolist() == [Tissue.CSF] * int((from_axis < 0.4).sum())


def test_its_hole_goes_through_bone_around_it_and_no_farther() -> None:
    x = np.linspace(-10.0, 10.0, 81, dtype=np.float32)
    points = np.column_stack([x, np.zeros_like(x), np.full_like(x, 30.0)])
    solid = TUBE.drilled(np.full(81, -3.0, np.float32), points, MM)
    assert (solid[np.abs(x) < 4.0] > 0.0).all()
    assert (solid[np.abs(x) > 7.5] == -3.0).all()


def _head() -> HeadAnatomy:
    labels = head_labels()
    world = labels.geometry.to_world(np.stack(np.indices(labels.voxels.shape), -1).astype(float))
    fluid = np.linalg.norm(world - (0.0, 0.0, 10.0), axis=-1) < 12.0
    return prepare_head(labels.with_voxels(np.where(fluid, 24.0, labels.voxels).astype(np.float32)))


def test_most_heads_have_none_and_one_ends_in_fluid(monkeypatch: pytest.MonkeyPatch) -> None:
    head = _head()
    assert len(head.ventricles)
    assert sum(draw_shunt(head, np.random.default_rng(n)) is not None for n in range(300)) < 20
    monkeypatch.setattr(shunts, "_SHUNTED", 1.0)
    monkeypatch.setattr(shunts, "_ENTRY_ABOVE_MM", 20.0)
    for seed in range(5):
        drawn = draw_shunt(head, np.random.default_rng(seed))
        assert drawn is not None
        i, j, k = np.rint(drawn.tip).astype(int)
        assert head.maps[i, j, k, 0] == Tissue.CSF
        assert drawn.outside[2] > drawn.tip[2]
