"""Muon for convolutional networks: the momentum of each kernel, orthogonalised, is its step.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), with the scale of Liu et al. 2025
(arXiv 2502.16982), by which a rate has the size that one of AdamW has. ``torch.optim.Muon`` does
the same one matrix after the other; here matrices of one shape go through together where the device
is a GPU, which would spend a step on starting small kernels. On simulated heads Muon learned more
than AdamW in the same time (docs/models.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_WEIGHT_DECAY = 0.01
_ADAMW_WEIGHT_DECAY = 1e-4

# The quintic of the Newton-Schulz iteration: its slope at zero is the largest, so that small
# singular values grow fast; they end between about 0.5 and 1.5 (Jordan et al.).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_LEAST_NORM = 1e-7
# The root mean square of a step of AdamW (Liu et al. 2025).
_ADAMW_RMS = 0.2


class ConvMuon:
    """Muon for the kernels between the first and the last layer, AdamW for all other weights.

    ``rate`` has the size that one of AdamW has. The network's weights must be channels-last, so
    that a kernel (out, in, h, w) can be seen as a matrix (out, h * w * in) without a copy.

    Raises
    ------
    ValueError
        If the weights are not channels-last: steps would change copies, and nothing be learned.
    """

    def __init__(self, network: nn.Module, *, rate: float, ends: tuple[nn.Module, ...]) -> None:
        at_ends = {id(weight) for end in ends for weight in end.parameters()}
        weights = list(network.parameters())
        self._kernels = [w for w in weights if w.ndim == 4 and id(w) not in at_ends]
        inner = {id(kernel) for kernel in self._kernels}
        self._matrices = [_as_matrix(kernel.data) for kernel in self._kernels]
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            if matrix.data_ptr() != kernel.data_ptr():
                raise ValueError("the network's weights are not channels-last")
        self._momenta = [torch.zeros_like(matrix) for matrix in self._matrices]
        others = [w for w in weights if id(w) not in inner]
        self._adamw = torch.optim.AdamW(
            others,
            lr=rate,
            weight_decay=_ADAMW_WEIGHT_DECAY,
            fused=weights[0].device.type == "cuda",
        )

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the weights by the gradients that they hold."""
        there = [n for n, kernel in enumerate(self._kernels) if kernel.grad is not None]
        if there:
            gradients = [_as_matrix(self._kernels[n].grad) for n in there]  # type: ignore[arg-type]
            momenta = [self._momenta[n] for n in there]
            torch._foreach_lerp_(momenta, gradients, 1.0 - _MOMENTUM)
            ahead = torch._foreach_lerp(gradients, momenta, _MOMENTUM)  # Nesterov's
            matrices = [self._matrices[n] for n in there]
            torch._foreach_mul_(matrices, 1.0 - rate * _WEIGHT_DECAY)
            for matrix, way in zip(matrices, orthogonalised(ahead), strict=True):
                matrix.add_(way, alpha=-rate * _ADAMW_RMS * math.sqrt(max(matrix.shape)))
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on exactly where it stopped."""
        return {"momenta": self._momenta, "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        for own, saved in zip(self._momenta, state["momenta"], strict=True):
            own.copy_(saved)
        self._adamw.load_state_dict(state["adamw"])


def orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Bring all singular values of each matrix near 1; bfloat16, in the order that was given."""
    halves = [matrix.bfloat16() for matrix in matrices]
    if halves[0].device.type == "cpu":  # products of many small matrices at once are slower there
        return [newton_schulz(matrix) for matrix in halves]
    alike: dict[torch.Size, list[int]] = {}
    for n, matrix in enumerate(halves):
        alike.setdefault(matrix.shape, []).append(n)
    found: dict[int, Tensor] = {}
    for numbers in alike.values():
        together = newton_schulz(torch.stack([halves[n] for n in numbers]))
        found |= dict(zip(numbers, together, strict=True))
    return [found[n] for n in range(len(halves))]


def newton_schulz(matrices: Tensor) -> Tensor:
    """Orthogonalise a matrix (rows, columns), or N of one shape (N, rows, columns)."""
    a, b, c = _QUINTIC
    product = torch.addmm if matrices.ndim == 2 else torch.baddbmm
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    norm = torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True)
    x = x / norm.clamp(min=_LEAST_NORM)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = product(x, product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _as_matrix(kernel: Tensor) -> Tensor:
    """(out, in, h, w) -> (out, h * w * in), a view if the kernel is channels-last."""
    return kernel.permute(0, 2, 3, 1).flatten(1)
