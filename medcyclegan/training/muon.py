"""Muon for convolutional networks: the momentum of each kernel, orthogonalised, is its step.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/); torch has it for matrices. On
simulated heads it learned more than AdamW in the same time (docs/models.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medcyclegan.errors import UsageError

_WEIGHT_DECAY = 0.01
_ADAMW_WEIGHT_DECAY = 1e-4


class ConvMuon:
    """Muon for the kernels between the first and the last layer, AdamW for all other weights.

    ``rate`` has the size that one of AdamW has. The network's weights must be channels-last, so
    that a kernel (out, in, h, w) can be seen as a matrix (out, h * w * in) without a copy.

    Raises
    ------
    UsageError
        If torch is too old to have Muon.
    ValueError
        If the weights are not channels-last: steps would change copies, and nothing be learned.
    """

    def __init__(self, network: nn.Module, *, rate: float, ends: tuple[nn.Module, ...]) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise UsageError(
                f"torch {torch.__version__} has no Muon",
                rule="training on pairs needs 2.9 or newer",
            )
        at_ends = {id(weight) for end in ends for weight in end.parameters()}
        weights = list(network.parameters())
        self._kernels = [w for w in weights if w.ndim == 4 and id(w) not in at_ends]
        inner = {id(kernel) for kernel in self._kernels}
        self._matrices = [nn.Parameter(_as_matrix(kernel.data)) for kernel in self._kernels]
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            if matrix.data_ptr() != kernel.data_ptr():
                raise ValueError("the network's weights are not channels-last")
        self._muon = torch.optim.Muon(
            self._matrices, lr=rate, weight_decay=_WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(
            [w for w in weights if id(w) not in inner], lr=rate, weight_decay=_ADAMW_WEIGHT_DECAY
        )

    def step(self, rate: float) -> None:
        """Change the weights by the gradients that they hold."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else _as_matrix(kernel.grad)
        for optimiser in (self._muon, self._adamw):
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on exactly where it stopped."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])


def _as_matrix(kernel: Tensor) -> Tensor:
    """(out, in, h, w) -> (out, h * w * in), a view if the kernel is channels-last."""
    return kernel.permute(0, 2, 3, 1).flatten(1)
