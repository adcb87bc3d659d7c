"""Progress of a training, and what ends it: steps, time, guards."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor

from medcyclegan.errors import DeviceError, TrainingStopped
from medcyclegan.training.config import TrainConfig


class Course:
    """Where a training is, from ``seconds`` spent before on; the clock runs from now."""

    def __init__(
        self, config: TrainConfig, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._before, self._clock = config, seconds, clock
        self._start = clock()

    @property
    def seconds(self) -> float:
        """All time spent so far."""
        return self._before + self._clock() - self._start

    def share(self, step: int) -> float:
        """The share in [0, 1] that is done after ``step`` steps."""
        if self._config.minutes is None:
            return min(1.0, step / self._config.steps)
        return min(1.0, self.seconds / (60.0 * self._config.minutes))

    def is_over(self, step: int) -> bool:
        """Whether nothing is left to do after ``step`` steps."""
        return self.share(step) >= 1.0

    def is_late(self, step: int) -> bool:
        """Whether the step after ``step`` steps has the late patches and batches."""
        late = self._config.late
        return late is not None and self.share(step) >= late.from_share

    def seconds_left(self, step: int) -> float:
        """About how long it still takes; NaN before the first step."""
        share = self.share(step)
        return self.seconds * (1.0 - share) / share if share > 0.0 else math.nan


_KEPT = "the last checkpoint is as it was before"


def not_finite(step: int, losses: Mapping[str, float]) -> TrainingStopped:
    """The error for a gradient that is NaN or infinite; the last mean ``losses`` go into it."""
    values = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
    before = f" (mean losses before: {values})" if values else ""
    return TrainingStopped(
        f"Step {step}: a gradient is not finite{before}",
        rule=f"losses and gradients are finite; nothing of this step was kept, {_KEPT}",
        remedy="resume with lower learning rates of the engine, or precision=float32",
    )


class DiscriminatorWatch:
    """Counts for how many steps each discriminator's loss has been about 0, on its device."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self.quiet_steps: dict[str, Tensor] = {}

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take up the losses of a step; waits for nothing."""
        for name, loss in losses.items():
            if name.startswith("discriminator"):
                before = self.quiet_steps.get(name, torch.zeros_like(loss))
                quiet = loss < self._config.vanished_below
                self.quiet_steps[name] = torch.where(quiet, before + 1, torch.zeros_like(loss))

    def refuse_vanished(self, step: int) -> None:
        """Stop if a loss stayed below ``vanished_below`` for ``vanished_steps`` steps.

        Raises
        ------
        TrainingStopped
            If it did.
        """
        for name, steps in self.quiet_steps.items():
            if float(steps) >= self._config.vanished_steps:
                raise TrainingStopped(
                    f"Step {step}: {name} has had a loss below {self._config.vanished_below:g} for "
                    f"{self._config.vanished_steps} steps",
                    rule=f"a discriminator that tells every fake teaches no more; {_KEPT}",
                    remedy="start again with a lower engine.discriminator_rate, "
                    "engine.discriminator.spectral_norm=true or a smaller "
                    "engine.discriminator.width",
                )


@contextmanager
def memory_errors(config: TrainConfig) -> Iterator[None]:
    """Say which settings to lower where the memory does not suffice.

    Raises
    ------
    DeviceError
        In place of the errors by which torch and Python tell it.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(config) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # the words of torch's allocator for the CPU
            raise
        raise _out_of_memory(config) from error


def _out_of_memory(config: TrainConfig) -> DeviceError:
    widths = list(config.generator.widths)
    return DeviceError(
        f"Out of memory with data.size_px {config.data.size_px}, batch_size {config.batch_size} "
        f"in accumulate {config.accumulate} parts, generator.widths {widths}",
        rule=f"a step must fit into memory; {_KEPT}",
        remedy="raise accumulate, or lower batch_size, data.size_px or the widths",
    )


class StopRequest:
    """Whether the user or the system asked the run to stop, and by which signal."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second Ctrl-C interrupts at once."""
        if self.name and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Let SIGINT (Ctrl-C) and SIGTERM end the run after the step in work, not in the middle.

    Outside the main thread, where Python allows no handlers, signals do what they did before.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_the_training(worker: int) -> None:
    """For a process that loads data: Ctrl-C, or SIGTERM to the whole group, is for the training.

    That finishes its step, writes a checkpoint and ends its loaders itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
