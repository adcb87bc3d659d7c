"""blend(cut(x)) = x for every number of slices, depth and stride."""

from __future__ import annotations

import itertools

import pytest
import torch

from medcyclegan.inference.sliding_slabs import SlabBlender, SlabPlan, cut_slabs

PLANS = [
    SlabPlan(slices, depth, stride)
    for slices, depth in itertools.product((1, 2, 3, 4, 5, 7, 11, 24), (1, 3, 5, 9))
    for stride in range(1, depth + 1)
]


def volume_for(plan: SlabPlan) -> torch.Tensor:
    generator = torch.Generator().manual_seed(plan.slices)
    return torch.randn((plan.slices, 3, 4), generator=generator)


def blended(plan: SlabPlan, volume: torch.Tensor) -> torch.Tensor:
    blender = SlabBlender(plan, (volume.shape[1], volume.shape[2]))
    blender.add(cut_slabs(volume, plan, plan.starts), plan.starts)
    return blender.result()


def test_what_is_cut_is_blended_into_the_same_again() -> None:
    assert len(PLANS) > 100
    for plan in PLANS:
        volume = volume_for(plan)
        result = blended(plan, volume)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, volume, rtol=0.0, atol=1e-6, msg=str(plan))


def test_slabs_lie_in_the_volume_cover_it_and_overlap_as_planned() -> None:
    for plan in PLANS:
        starts = plan.starts
        assert len(set(starts)) == len(starts), plan
        assert starts[0] == 0
        assert starts[-1] + plan.depth == max(plan.slices, plan.depth)
        gaps = {b - a for a, b in itertools.pairwise(starts)}
        assert all(0 < gap <= plan.stride for gap in gaps), plan


def test_a_short_volume_is_one_slab_with_its_last_slice_repeated() -> None:
    plan = SlabPlan(slices=2, depth=5, stride=2)
    volume = volume_for(plan)
    (slab,) = cut_slabs(volume, plan, plan.starts)
    assert torch.equal(slab, volume[[0, 1, 1, 1, 1]])


def test_batches_of_slabs_give_the_same_as_all_at_once() -> None:
    plan = SlabPlan(slices=17, depth=5, stride=2)
    volume = volume_for(plan)
    blender = SlabBlender(plan, (3, 4))
    for first in range(0, len(plan.starts), 3):
        some = plan.starts[first : first + 3]
        blender.add(cut_slabs(volume, plan, some), some)
    assert torch.equal(blender.result(), blended(plan, volume))


def test_middle_slices_count_most() -> None:
    assert SlabPlan(9, 5, 2).weights.tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]
    plan = SlabPlan(slices=4, depth=3, stride=1)
    blender = SlabBlender(plan, (1, 1))
    blender.add(torch.stack([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)]), plan.starts)
    assert blender.result().flatten().tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])


def test_wrong_sums_and_gaps_would_be_seen() -> None:
    plan = SlabPlan(slices=9, depth=5, stride=2)
    volume = volume_for(plan)
    slabs = cut_slabs(volume, plan, plan.starts)

    unweighted = SlabBlender(plan, (3, 4))
    unweighted.add(slabs, plan.starts)
    assert not torch.allclose(unweighted.total, volume)

    shifted = SlabBlender(plan, (3, 4))
    shifted.add(slabs, (0, 1, 4))
    assert not torch.allclose(shifted.result(), volume)

    uncovered = SlabBlender(plan, (3, 4))
    uncovered.add(slabs[:1], plan.starts[:1])
    assert uncovered.result()[5:].isnan().all()

    sparse = SlabPlan(slices=12, depth=3, stride=5)
    assert not torch.allclose(blended(sparse, volume_for(sparse)), volume_for(sparse))


def test_slabs_and_starts_must_be_as_many() -> None:
    plan = SlabPlan(slices=9, depth=5, stride=2)
    slabs = cut_slabs(volume_for(plan), plan, plan.starts)
    with pytest.raises(ValueError, match="zip"):
        SlabBlender(plan, (3, 4)).add(slabs, (*plan.starts, 4))
