"""Batches of a training: fresh ones drawn ahead, and earlier ones replayed.

Earlier slabs taken again beside fresh ones, where a GPU is faster than the data.
"Data echoing" (Choi et al. 2019, arXiv 1907.05550): as long as the data limit the pace, a slab that
is used a few times, each time among others, is worth nearly as much as a fresh one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from medcyclegan.errors import UsageError
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import Key
from medcyclegan.training.data.types import Sample, collate
from medcyclegan.training.parallel import Crew
from medcyclegan.training.stopping import Course, leave_signals_to_the_training


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


# Parts of steps that each worker has ready.
_AHEAD = 4


def items_of_step(
    first: int, config: TrainConfig, crew: Crew, *, late: bool = False
) -> list[list[Key]]:
    """The items of a step for one process, in ``accumulate`` parts; ``first`` is that of all.

    Process by process they are all different, and none is left out.
    """
    size = items_a_step(config, late=late)
    own: list[Key] = list(range(first + crew.rank, first + size, crew.size))
    if late and config.late is not None:
        own = [(number, config.late.size_px) for number in own if isinstance(number, int)]
    share = len(own) // config.accumulate
    return [own[start : start + share] for start in range(0, len(own), share)]


def items_a_step(config: TrainConfig, *, late: bool) -> int:
    """How many items a step takes over all processes."""
    return config.late.batch_size if late and config.late is not None else config.batch_size


def refuse_uneven_shares(config: TrainConfig, crew: Crew) -> None:
    """Refuse a batch that the processes cannot share out evenly.

    Raises
    ------
    UsageError
        If ``batch_size`` is no multiple of processes times ``accumulate``.
    """
    for late in (False, True):
        size = items_a_step(config, late=late)
        if size % (crew.size * config.accumulate):
            raise UsageError(
                f"batch_size {size} with {crew.size} processes and accumulate {config.accumulate}",
                rule="batch_size must be a multiple of processes times accumulate",
                remedy=f"as batch_size={crew.size * config.accumulate}",
            )


def load_steps(
    data: Dataset[Sample],
    config: TrainConfig,
    course: Course,
    *,
    done: tuple[int, int],
    crew: Crew,
    device: torch.device,
) -> Iterator[tuple[list[Sample], int]]:
    """Give the parts of each step to the last, and how many items all steps then took.

    ``done`` are the steps and items before. The workers live as long as the training does.
    """
    workers = config.worker_count(device)
    sampler = _Parts(config, course, done, crew)
    loader = DataLoader(
        data,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=leave_signals_to_the_training,
        pin_memory=device.type == "cuda",
        prefetch_factor=_AHEAD if workers else None,
        # without one of its own, the loader would draw from the generator of the whole process
        generator=torch.Generator().manual_seed(0),
    )
    parts: Iterator[Sample] = iter(loader)
    while together := list(islice(parts, config.accumulate)):
        yield together, sampler.items_after.popleft()


class _Parts(Sampler[list[Key]]):
    """The items of all parts of all steps, one part after the other.

    It is asked ahead of the steps by as much as the workers hold; where time counts, patches grow
    by that much later.
    """

    def __init__(
        self, config: TrainConfig, course: Course, done: tuple[int, int], crew: Crew
    ) -> None:
        self._config, self._course, self._done, self._crew = config, course, done, crew
        # how many items the steps took that were asked for and not done yet
        self.items_after: deque[int] = deque()

    def __iter__(self) -> Iterator[list[Key]]:
        step, items = self._done
        # where time counts the loop ends it: processes, whose clocks differ, must agree on the step
        while self._config.minutes is not None or not self._course.is_over(step):
            late = self._course.is_late(step)
            parts = items_of_step(items, self._config, self._crew, late=late)
            step, items = step + 1, items + items_a_step(self._config, late=late)
            self.items_after.append(items)
            yield from parts
