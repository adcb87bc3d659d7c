"""Two images of one head: aligned, fixed by seed and subject, different from head to head."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.errors import UsageError
from medcyclegan.simulate.head_pairs import (
    HeadGrid,
    MrCtHeads,
    Pair,
    T1T2Heads,
    rotation,
    whole_head_size,
)

GRID = HeadGrid((5.0, 5.0, 8.0), whole_head_size((5.0, 5.0, 8.0)))
SLAB = HeadGrid((6.0, 6.0, 8.0), (32, 40, 1), 35.0)


def test_mr_and_ct_show_the_same_head() -> None:
    pair, other = (MrCtHeads(GRID, "t1").pair(seed=1, subject=n) for n in (1, 2))
    assert (pair.a.unit, pair.b.unit) == ("a.u.", "HU")
    assert pair.a.geometry == pair.b.geometry
    assert overlap(pair.a.voxels, pair.b.voxels) > 0.9
    assert overlap(pair.a.voxels, other.b.voxels) < 0.87  # the control: another head


def overlap(mr: np.ndarray, ct: np.ndarray) -> float:
    """Dice of what gives signal and what attenuates."""
    signal, dense = mr > 80.0, ct > -500.0
    return float(2 * (signal & dense).sum() / (signal.sum() + dense.sum()))


@pytest.mark.parametrize("heads", [MrCtHeads(SLAB), T1T2Heads(SLAB)])
def test_seed_and_subject_fix_every_bit(heads: MrCtHeads | T1T2Heads) -> None:
    def bits(pair: Pair) -> tuple[bytes, ...]:
        return (
            pair.a.voxels.tobytes(),
            pair.b.voxels.tobytes(),
            pair.a.geometry.affine_ras.tobytes(),
        )

    first = bits(heads.pair(seed=4, subject=2))
    assert bits(heads.pair(seed=4, subject=2)) == first
    for seed, subject in ((5, 2), (4, 3)):
        assert not set(bits(heads.pair(seed=seed, subject=subject))) & set(first)


def test_fluid_is_dark_in_t1_and_bright_in_t2() -> None:
    pair = T1T2Heads(HeadGrid((3.0, 3.0, 6.0), (72, 84, 3), 35.0)).pair(seed=1, subject=1)
    brain = pair.a.voxels[20:52, 24:60, 1], pair.b.voxels[20:52, 24:60, 1]
    fluid = brain[1] > np.percentile(brain[1], 97)
    assert brain[0][fluid].mean() < 0.7 * np.median(brain[0])
    assert brain[1][fluid].mean() > 1.5 * np.median(brain[1])
    assert np.array_equal(pair.a.voxels, np.rint(pair.a.voxels))


def test_a_random_contrast_is_another_one_for_each_subject() -> None:
    def likeness_to_t1(contrast: str) -> list[float]:
        pairs = [
            [MrCtHeads(SLAB, name).pair(seed=2, subject=n).a.voxels.ravel() for n in range(1, 7)]
            for name in ("t1", contrast)
        ]
        return [float(np.corrcoef(t1, mr)[0, 1]) for t1, mr in zip(*pairs, strict=True)]

    random = likeness_to_t1("random")
    assert max(random) - min(random) > 0.15
    assert min(likeness_to_t1("t1")) > 0.9999  # the control


def test_heads_lie_a_little_off_the_middle_and_turned() -> None:
    grids = [GRID.posed(np.random.default_rng(seed)) for seed in range(30)]
    for grid in grids:
        assert grid.axis_codes == "LPS"
        assert grid.spacing_mm == pytest.approx((5.0, 5.0, 8.0))
        assert not grid.is_sheared
    middles = [grid.to_world((np.array(GRID.size) - 1) / 2.0) for grid in grids]
    assert 2.0 < np.std(middles, axis=0).min() < np.abs(middles).max() <= 8.0
    assert np.std([grid.directions_ras[0, 1] for grid in grids]) > 0.02


def test_a_rotation_turns_by_its_angle() -> None:
    turn = rotation(np.array([0.0, 0.0, 90.0]))
    np.testing.assert_allclose(turn @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)
    both = rotation(np.array([10.0, -20.0, 30.0]))
    np.testing.assert_allclose(both @ both.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(both) == pytest.approx(1.0)


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(UsageError, match="t1, t2, flair, pd, random"):
        MrCtHeads(GRID, "t3")
