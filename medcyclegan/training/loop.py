"""The training from its first step, or a checkpoint, to the last, whatever the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from medcyclegan.errors import Interrupted, Terminated
from medcyclegan.training.batches import Replay, load_steps, refuse_uneven_shares
from medcyclegan.training.checkpoint import (
    TrainState,
    Window,
    begin,
    newest_checkpoint,
    restore,
    save_best,
    save_checkpoint,
)
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample, TrainingData
from medcyclegan.training.engines.base import Moment, NotFinite
from medcyclegan.training.engines.registry import make_engine
from medcyclegan.training.parallel import Crew, agreed, anyone
from medcyclegan.training.run_folder import Logbook, RunFolder
from medcyclegan.training.stopping import (
    Course,
    DiscriminatorWatch,
    StopRequest,
    memory_errors,
    not_finite,
    stop_on_signals,
)
from medcyclegan.training.validation import (
    Validation,
    choose_samples,
    draw_panel,
    make_rows,
    mean_error,
    validate,
)

# The parts of a step, and how many items all steps up to it took.
Parts = tuple[list[Sample], int]


@dataclass(frozen=True, eq=False)
class Job:
    """One training: what, on what, where to, by which process on which device.

    ``clock`` gives seconds; all times of the run are by it.
    """

    config: TrainConfig
    data: TrainingData
    folder: RunFolder
    device: torch.device
    crew: Crew
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Progress:
    """How far a training is after a step.

    ``items`` were taken in all, by all processes; ``losses`` are the last mean ones that were
    fetched. ``seconds_left`` is NaN before it is known; ``waited_s`` is the time that this process
    has spent waiting for data since it started.
    """

    step: int
    items: int
    share: float
    losses: Mapping[str, float]
    seconds_left: float
    waited_s: float


class Watcher:
    """What is told as a training goes on; does nothing by itself."""

    def step(self, progress: Progress) -> None:
        """After every step."""

    def validated(self, step: int, results: Sequence[Validation]) -> None:
        """After a validation."""


def fresh_state(config: TrainConfig, device: torch.device, crew: Crew) -> TrainState:
    """Draw the first weights from the seed."""
    engine = make_engine(config.engine, config.setup(device, crew))
    return TrainState(engine, DiscriminatorWatch(config))


def train(job: Job, *, resume: bool, watcher: Watcher) -> TrainState:
    """Train up to the last step, or for as long as was asked; with ``resume`` from a checkpoint on.

    Raises
    ------
    TrainingStopped
        If values are not finite, or a discriminator teaches no more.
    Interrupted
        If Ctrl-C asked for it, ``Terminated`` if SIGTERM did; a checkpoint was saved.
    DeviceError
        If the memory does not suffice.
    """
    refuse_uneven_shares(job.config, job.crew)
    with memory_errors(job.config):
        state = fresh_state(job.config, job.device, job.crew)
    if resume:
        restore(state, newest_checkpoint(job.folder.checkpoints), crew=job.crew)
    else:
        begin(state.engine, job.config)
    log: AbstractContextManager[Logbook | None] = (
        Logbook(job.folder, step=state.step) if job.crew.leads else nullcontext()
    )
    with log as logbook, stop_on_signals() as stop, _tuned(job.device):
        _Loop(job, state, logbook, watcher).run(stop)
    return state


@contextmanager
def _tuned(device: torch.device) -> Iterator[None]:
    """Let cuDNN look for the fastest convolutions: there are but two shapes of a batch."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        yield


@dataclass(eq=False)
class _Loop:
    """The steps of one process; ``losses`` are the last mean ones that were fetched."""

    job: Job
    state: TrainState
    logbook: Logbook | None
    watcher: Watcher

    def __post_init__(self) -> None:
        self.losses: dict[str, float] = {}
        self.rate_factor, self.waited_s = 1.0, 0.0
        self.course = Course(self.job.config, seconds=self.state.seconds, clock=self.job.clock)
        self.replay = self._fresh_replay()

    def _fresh_replay(self) -> Replay | None:
        config, crew = self.job.config, self.job.crew
        if config.replay == 0:
            return None
        # other draws in every process, and in every part of a training that was resumed
        seed = config.seed + 1000 * crew.rank + self.state.step
        return Replay(
            times=config.replay, capacity=config.replay_slabs, device=self.job.device, seed=seed
        )

    def run(self, stop: StopRequest) -> None:
        """Go on to the end."""
        job, state, course = self.job, self.state, self.course
        if course.is_over(state.step) or self._gave_up():
            return
        steps = load_steps(
            job.data.train, job.config, course,
            done=(state.step, state.items), crew=job.crew, device=job.device,
        )  # fmt: skip
        for parts, items in self._timed(steps):
            self._step(parts, items)
            over = anyone(course.is_over(state.step) or self._gave_up(), job.crew)
            stopping = anyone(bool(stop.name), job.crew)
            self._do_what_is_due(over=over, stopping=stopping)
            self.watcher.step(self._progress())
            if over:
                return
            if stopping:
                kind = Terminated if stop.name == "SIGTERM" else Interrupted
                raise kind(
                    f"Stopped by {stop.name or 'another process'} after step {state.step}",
                    rule="a checkpoint was saved",
                    remedy=f"go on with --resume --out {job.folder.root}",
                )

    def _gave_up(self) -> bool:
        """Whether too many validations in a row brought nothing."""
        patience = self.job.config.patience
        return patience is not None and self.state.worse >= patience

    def _timed(self, steps: Iterator[Parts]) -> Iterator[Parts]:
        """The same, with the time noted that it takes to come."""
        while True:
            asked = time.perf_counter()
            parts = next(steps, None)
            self.waited_s += time.perf_counter() - asked
            if parts is None:
                return
            yield parts

    def _progress(self) -> Progress:
        state, course = self.state, self.course
        share, left = course.share(state.step), course.seconds_left(state.step)
        return Progress(state.step, state.items, share, self.losses, left, self.waited_s)

    def _step(self, parts: list[Sample], items: int) -> None:
        """Do one step; its losses stay on the device."""
        state, config, share = self.state, self.job.config, self.course.share(self.state.step)
        moment = Moment(state.step, share, config.rate_factor(share))
        try:
            with memory_errors(config):
                if self.replay is not None:
                    parts = [self.replay.mix(part) for part in parts]
                losses = state.engine.step(parts, moment, self.job.crew)
        except NotFinite as error:
            raise not_finite(state.step + 1, self.losses) from error
        state.step, state.items = state.step + 1, items
        state.window.add(losses)
        state.watch.add(losses)
        self.rate_factor = moment.rate_factor

    def _do_what_is_due(self, *, over: bool, stopping: bool) -> None:
        """Check, log, validate, draw and save, each when its time has come."""
        job, state, config = self.job, self.state, self.job.config
        logs = over or state.step % config.log_every == 0
        saves = over or stopping or state.step % config.checkpoint_every == 0
        # a GPU would have to be waited for
        if logs or saves or job.device.type == "cpu":
            self._check()
        if logs:
            self._log_losses()
        if self.logbook is not None:
            self._validate(self.logbook, over=over)
            self._draw(self.logbook, over=over)
        state.seconds = self.course.seconds
        if saves:
            save_checkpoint(job.folder.checkpoints, state, config, crew=job.crew)

    def _check(self) -> None:
        try:
            self.state.engine.refuse_unfinite()
        except NotFinite as error:
            raise not_finite(self.state.step, self.losses) from error
        self.state.watch.refuse_vanished(self.state.step)

    def _log_losses(self) -> None:
        state, config = self.state, self.job.config
        self.losses = agreed(state.window.means(), self.job.crew)
        state.window = Window()
        if self.logbook is not None:
            rate = config.engine.base_rate * self.rate_factor
            absent = dict.fromkeys(state.engine.loss_names(), math.nan)
            self.logbook.losses(
                state.step, self.course.seconds, {"rate": rate, **absent, **self.losses}
            )

    def _validate(self, logbook: Logbook, *, over: bool) -> None:
        job, state, config = self.job, self.state, self.job.config
        if not job.data.validation or not (over or state.step % config.validate_every == 0):
            return
        results = validate(state.engine.exported(), job.data.validation, config, job.device)
        logbook.validation(state.step, self.course.seconds, results)
        error = mean_error(results)
        state.worse += 1
        if state.best is None or error < state.best:
            state.best, state.worse = error, 0
            save_best(job.folder.checkpoints, state, config)
        self.watcher.validated(state.step, results)

    def _draw(self, logbook: Logbook, *, over: bool) -> None:
        job, step, config = self.job, self.state.step, self.job.config
        if over or step in config.panel_steps or step % config.panel_every == 0:
            samples = choose_samples(job.data, depth=config.data.depth)
            rows = make_rows(self.state.engine.exported(), samples, job.device)
            logbook.panel(step, draw_panel(rows, config, step=step))
