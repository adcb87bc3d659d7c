"""The moving average of a network's weights, which is what is validated and exported."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of all weights of a network.

    Over the first steps it forgets faster than ``decay``, or it would keep the random weights that
    all began with: after n updates the decay is at most (1 + n) / (10 + n).
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        # a plain number: a tensor on a GPU would have to be waited for in every step
        self._updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take up the weights of ``network``; the first ones replace all."""
        own: list[Tensor] = list(self.module.parameters())
        new: list[Tensor] = list(network.parameters())
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        if self._updates == 0:
            decay = 0.0
        torch._foreach_lerp_(own, new, 1.0 - decay)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Weights and the number of updates."""
        return {"updates": self._updates, "weights": dict(self.module.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._updates = int(state["updates"])
        self.module.load_state_dict(state["weights"])
