"""Several processes as one: what ``torchrun`` started agrees on gradients and losses.

Every process has all networks, begins with the same weights, and works on its own items of each
batch. The gradients are averaged by ``torch.distributed`` before every step, so the weights stay
equal. DistributedDataParallel does the same inside one backward pass of one module; with four
networks, called several times in a step, averaging once after the passes is simpler and sends
less.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

# While one process validates, or prepares the data, the others wait in a collective; torch's own
# limit is 10 minutes with GPUs.
_LONGEST_WAIT = timedelta(hours=24)


@dataclass(frozen=True)
class Crew:
    """This process is ``rank`` of ``size``; only rank 0 writes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0


@contextmanager
def joined_crew() -> Iterator[Crew]:
    """Join the processes that ``torchrun`` started, or be alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Crew()
        return
    local_rank = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
    distributed.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo", timeout=_LONGEST_WAIT
    )
    try:
        yield Crew(distributed.get_rank(), distributed.get_world_size(), local_rank)
    finally:
        distributed.destroy_process_group()


def average_gradients(weights: Iterable[nn.Parameter], crew: Crew) -> None:
    """Put the mean over all processes into every gradient."""
    if crew.size == 1:
        return
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= crew.size
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def agreed(values: Mapping[str, Tensor], crew: Crew) -> dict[str, float]:
    """The mean of each value, a scalar, over all processes; NaN if it is NaN in any."""
    together = torch.stack([value.detach().float() for value in values.values()])
    if crew.size > 1:
        distributed.all_reduce(together)
        together /= crew.size
    return dict(zip(values, together.tolist(), strict=True))


def gathered(value: object, crew: Crew) -> list[Any]:
    """The values of all processes by rank, at rank 0; elsewhere an empty list."""
    if crew.size == 1:
        return [value]
    values: list[Any] = [None] * crew.size
    distributed.gather_object(value, values if crew.leads else None)
    return values if crew.leads else []


@contextmanager
def one_after_the_other(crew: Crew) -> Iterator[None]:
    """Let rank 0 do the block first, and the others, who then find what it left, after it."""
    if crew.size > 1 and not crew.leads:
        distributed.barrier()
    yield
    if crew.size > 1 and crew.leads:
        distributed.barrier()


def anyone(flag: bool, crew: Crew) -> bool:
    """Whether the flag is up in any process."""
    if crew.size == 1:
        return flag
    # on the device that the backend sends from
    place = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    count = torch.tensor([float(flag)], device=place)
    distributed.all_reduce(count)
    return bool(count.item() > 0)
