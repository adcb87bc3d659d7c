"""Cut a volume into overlapping slabs of slices, and blend slabs into a volume again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SlabPlan:
    """Where slabs of ``depth`` slices start in a volume of ``slices`` slices.

    Neighbouring slabs start ``stride`` slices apart; the last ends with the volume. A volume of
    fewer than ``depth`` slices is one slab, its edge slices repeated.
    """

    slices: int
    depth: int
    stride: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First slice of every slab."""
        last = max(0, self.slices - self.depth)
        regular = tuple(range(0, last, self.stride))
        return (*regular, last)

    @property
    def weights(self) -> Tensor:
        """(depth,), how much a slab's slices count: most in the middle, where context is whole."""
        centre = (self.depth - 1) / 2.0
        return 1.0 + centre - (torch.arange(self.depth) - centre).abs()


def cut_slabs(volume: Tensor, plan: SlabPlan, starts: Iterable[int]) -> Tensor:
    """(D, H, W) -> (len(starts), depth, H, W), the slabs that start at ``starts``."""
    last = volume.shape[0] - 1
    return torch.stack(
        [volume[[min(start + n, last) for n in range(plan.depth)]] for start in starts]
    )


class SlabBlender:
    """Sum slabs into a volume with weights that make a partition of unity: blend(cut(x)) = x."""

    def __init__(self, plan: SlabPlan, shape_hw: tuple[int, int]) -> None:
        self.plan = plan
        self.total = torch.zeros((plan.slices, *shape_hw))
        self.weight = torch.zeros(plan.slices)

    def add(self, slabs: Tensor, starts: Iterable[int]) -> None:
        """Add slabs (N, depth, H, W) that start at ``starts``."""
        for slab, start in zip(slabs, starts, strict=True):
            for n, weight in enumerate(self.plan.weights.tolist()):
                if start + n < self.plan.slices:
                    self.total[start + n] += weight * slab[n]
                    self.weight[start + n] += weight

    def result(self) -> Tensor:
        """(D, H, W) float32; every slice must have been covered."""
        return self.total / self.weight[:, None, None]
