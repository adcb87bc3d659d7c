"""Which items a step takes: a function of the step, the process and the settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from medcyclegan.errors import UsageError
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.guards import ignore_interrupts
from medcyclegan.training.parallel import Crew
from medcyclegan.training.sample import Sample


def items_of_step(step: int, config: TrainConfig, crew: Crew) -> list[list[int]]:
    """The items of the step after ``step`` steps for one process, in ``accumulate`` parts.

    Step by step and process by process they are all different, and none is left out.
    """
    first = step * config.batch_size
    own = range(first + crew.rank, first + config.batch_size, crew.size)
    size = len(own) // config.accumulate
    return [list(own[start : start + size]) for start in range(0, len(own), size)]


def refuse_uneven_shares(config: TrainConfig, crew: Crew) -> None:
    """Refuse a batch that the processes cannot share out evenly.

    Raises
    ------
    UsageError
        If ``batch_size`` is no multiple of processes times ``accumulate``.
    """
    if config.batch_size % (crew.size * config.accumulate):
        raise UsageError(
            f"batch_size {config.batch_size} with {crew.size} processes and accumulate "
            f"{config.accumulate}",
            rule="batch_size must be a multiple of processes times accumulate",
            remedy=f"as batch_size={crew.size * config.accumulate}",
        )


def load_steps(
    data: Dataset[Sample], config: TrainConfig, *, first: int, crew: Crew, pinned: bool
) -> Iterator[list[Sample]]:
    """Give the parts of each step from ``first`` steps on to the last, loaded ahead by workers."""
    loader = DataLoader(
        data,
        batch_sampler=_Parts(first, config, crew),
        num_workers=config.workers,
        worker_init_fn=ignore_interrupts,
        pin_memory=pinned,
        # without one of its own, the loader would draw from the generator of the whole process
        generator=torch.Generator().manual_seed(0),
    )
    parts: Iterator[Sample] = iter(loader)
    while together := list(islice(parts, config.accumulate)):
        yield together


class _Parts(Sampler[list[int]]):
    """The items of all parts of all steps, one part after the other."""

    def __init__(self, first: int, config: TrainConfig, crew: Crew) -> None:
        self._first, self._config, self._crew = first, config, crew

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first, self._config.steps):
            yield from items_of_step(step, self._config, self._crew)

    def __len__(self) -> int:
        return (self._config.steps - self._first) * self._config.accumulate
