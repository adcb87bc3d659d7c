"""Image pool: a history of fakes for a discriminator to look back on."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor


class PoolState(TypedDict):
    """What a pool is resumed from."""

    kept: list[Tensor]
    rng: Tensor


class FakePool:
    """The last fakes, mixed: Shrivastava et al. 2017 (arXiv 1612.07828), as in CycleGAN.

    Until ``size`` fakes are kept, each is kept and given back. From then on, half of the fakes are
    given back at once, the others take the place of one that was kept, which is given instead.
    The pool has its own generator of random numbers, so that nothing else depends on it.
    """

    def __init__(self, *, size: int, seed: int) -> None:
        self._size = size
        self._kept: list[Tensor] = []
        self._rng = torch.Generator().manual_seed(seed)

    def exchange(self, fakes: Tensor) -> Tensor:
        """(N, depth, H, W) -> the same shape, some of it from earlier calls; without gradients."""
        return torch.stack([self._exchange_one(fake) for fake in fakes.detach()])

    def _exchange_one(self, fake: Tensor) -> Tensor:
        if self._size == 0:
            return fake
        if len(self._kept) < self._size:
            self._kept.append(fake.clone())
            return fake
        if float(torch.rand((), generator=self._rng)) < 0.5:
            return fake
        place = int(torch.randint(self._size, (), generator=self._rng))
        old, self._kept[place] = self._kept[place], fake.clone()
        return old

    def state(self) -> PoolState:
        """All that the next exchange depends on."""
        return {"kept": list(self._kept), "rng": self._rng.get_state()}

    def restore(self, state: PoolState, device: torch.device) -> None:
        """Go on from a state; the fakes are brought to ``device``."""
        self._kept = [fake.to(device) for fake in state["kept"]]
        self._rng.set_state(state["rng"].cpu())
