"""Earlier slabs taken again beside fresh ones, where a GPU is faster than the data.

"Data echoing" (Choi et al. 2019, arXiv 1907.05550): as long as the data limit the pace, a slab that
is used a few times, each time among others, is worth nearly as much as a fresh one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medcyclegan.training.sample import Sample


class Replay:
    """The last ``capacity`` slabs of a process, kept on its device.

    What it holds is not part of a checkpoint: a resumed training fills it anew, and so does not see
    exactly what it would have seen.
    """

    def __init__(self, *, times: int, capacity: int, device: torch.device, seed: int) -> None:
        self._times, self._capacity, self._device = times, capacity, device
        self._generator = torch.Generator().manual_seed(seed)
        self._a, self._b = torch.empty(0), torch.empty(0)
        # the flags stay on the CPU, where asking them keeps no GPU waiting
        self._flags = torch.empty(0, 2, dtype=torch.bool)
        self._seen = 0

    def mix(self, fresh: Sample) -> Sample:
        """Return a batch (N, depth, P, P) with up to ``times`` * N earlier slabs behind it.

        Slabs of another size than those before empty what is held.
        """
        if fresh.a.shape[1:] != self._a.shape[1:] or fresh.b.shape[1:] != self._b.shape[1:]:
            self._make_room(fresh)
        a, b = (
            slabs.as_subclass(Tensor).to(self._device, non_blocking=True)
            for slabs in (fresh.a, fresh.b)
        )
        flags = torch.stack([fresh.paired, fresh.matched], dim=1)
        held = min(self._seen, self._capacity)
        drawn = torch.randperm(held, generator=self._generator)[: self._times * len(a)]
        on_device = drawn.to(self._device, non_blocking=True)
        together = torch.cat([flags, self._flags[drawn]])
        mixed = Sample(
            torch.cat([a, self._a[on_device]]),
            torch.cat([b, self._b[on_device]]),
            together[:, 0],
            together[:, 1],
        )
        self._keep(a, b, flags)
        return mixed

    def _make_room(self, like: Sample) -> None:
        self._a = torch.empty(self._capacity, *like.a.shape[1:], device=self._device)
        self._b = torch.empty(self._capacity, *like.b.shape[1:], device=self._device)
        self._flags = torch.empty(self._capacity, 2, dtype=torch.bool)
        self._seen = 0

    def _keep(self, a: Tensor, b: Tensor, flags: Tensor) -> None:
        places = (self._seen + torch.arange(len(a))) % self._capacity
        on_device = places.to(self._device, non_blocking=True)
        self._a[on_device], self._b[on_device], self._flags[places] = a, b, flags
        self._seen += len(a)
