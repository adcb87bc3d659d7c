"""The training from its first step, or a checkpoint, to the last."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from medcyclegan.errors import Interrupted
from medcyclegan.training.batches import load_steps, refuse_uneven_shares
from medcyclegan.training.beginning import begin
from medcyclegan.training.checkpoint import (
    newest_checkpoint,
    restore,
    save_best,
    save_checkpoint,
)
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.cyclegan import Direction, all_losses
from medcyclegan.training.data.types import TrainingData
from medcyclegan.training.guards import (
    StopRequest,
    memory_errors,
    stop_on_signals,
    watch_discriminators,
)
from medcyclegan.training.logbook import Logbook
from medcyclegan.training.panels import choose_samples, draw_panel, make_rows
from medcyclegan.training.parallel import Crew, anyone
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.state import TrainState, fresh_state
from medcyclegan.training.step import train_step
from medcyclegan.training.validation import mean_error, validate

# Called after every step with the number of steps done and their losses.
OnStep = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, eq=False)
class Job:
    """One training: what, on what, where to, by which process on which device."""

    config: TrainConfig
    data: TrainingData
    folder: RunFolder
    device: torch.device
    crew: Crew


def train(job: Job, *, resume: bool, on_step: OnStep) -> TrainState:
    """Train up to the last step; with ``resume`` from the newest checkpoint on.

    Raises
    ------
    TrainingStopped
        If values are not finite, or a discriminator teaches no more.
    Interrupted
        If Ctrl-C or SIGTERM asked for it; a checkpoint was saved.
    DeviceError
        If the memory does not suffice.
    """
    refuse_uneven_shares(job.config, job.crew)
    with memory_errors(job.config):
        state = fresh_state(job.config, job.device, rank=job.crew.rank)
    if resume:
        restore(state, newest_checkpoint(job.folder.checkpoints), crew=job.crew)
    else:
        begin(state, job.config)
    log: AbstractContextManager[Logbook | None] = (
        Logbook(job.folder, step=state.step) if job.crew.leads else nullcontext()
    )
    with log as logbook, stop_on_signals() as stop:
        _go_on(job, state, logbook, stop, on_step)
    return state


def _go_on(
    job: Job, state: TrainState, logbook: Logbook | None, stop: StopRequest, on_step: OnStep
) -> None:
    config, crew = job.config, job.crew
    pinned = job.device.type == "cuda"
    clock = time.monotonic()
    for parts in load_steps(job.data.train, config, first=state.step, crew=crew, pinned=pinned):
        with memory_errors(config):
            losses = train_step(state, parts, config, crew=crew)
        state.window.add(losses)
        watch_discriminators(state.quiet_steps, losses, config, step=state.step)
        if logbook is not None:
            _report(job, state, logbook)
        clock, before = time.monotonic(), clock
        state.seconds += clock - before
        stopping = anyone(bool(stop.name), crew)
        if stopping or _is_due(state.step, config.checkpoint_every, config):
            save_checkpoint(job.folder.checkpoints, state, config, crew=crew)
        on_step(state.step, losses)
        if stopping and state.step < config.steps:
            raise Interrupted(
                f"Stopped by {stop.name or 'another process'} after step {state.step}",
                rule="a checkpoint was saved",
                remedy=f"go on with --resume --out {job.folder.root}",
            )


def _report(job: Job, state: TrainState, logbook: Logbook) -> None:
    """Write what is due after this step: losses, validation, panel."""
    config, step = job.config, state.step
    if _is_due(step, config.log_every, config):
        rate = config.generator_rate * config.rate_factor(step - 1)
        absent = dict.fromkeys(all_losses(state.networks, config), math.nan)
        logbook.losses(step, state.seconds, {"rate": rate, **absent, **state.window.means()})
        state.window = type(state.window)()
    generators = averaged_generators(state)
    if job.data.validation and _is_due(step, config.validate_every, config):
        results = validate(generators, job.data.validation, config, job.device)
        logbook.validation(step, state.seconds, results)
        error = mean_error(results)
        if state.best is None or error < state.best:
            state.best = error
            save_best(job.folder.checkpoints, state, config)
    if step in config.panel_steps or _is_due(step, config.panel_every, config):
        samples = choose_samples(job.data, depth=config.data.depth)
        rows = make_rows(generators, samples, job.device)
        logbook.panel(step, draw_panel(rows, config, step=step))


def averaged_generators(state: TrainState) -> dict[Direction, nn.Module]:
    """The generators with the moving average of their weights."""
    return {way: average.module for way, average in state.averages.items()}


def _is_due(step: int, every: int, config: TrainConfig) -> bool:
    return step % every == 0 or step == config.steps
