"""How far a training is, by steps or by time, and what follows from it: rates, late patches."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from medcyclegan.training.batches import load_steps
from medcyclegan.training.checkpoint import LAST, read_checkpoint
from medcyclegan.training.data.types import Sample, TrainingData
from medcyclegan.training.loop import train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run_folder import start_run
from medcyclegan.training.stopping import Course
from tests.training.simulated_training import simulated_config
from tests.training.tiny_training import (
    Calling,
    Shapes,
    differing,
    run_tiny,
    shapes,
    tiny_config,
    tiny_data,
    tiny_job,
)

LATE = {"from_share": 0.5, "size_px": 48, "batch_size": 2}


def test_shares_are_of_the_steps_or_of_the_time() -> None:
    now = 100.0
    by_steps = Course(tiny_config(steps=8), seconds=0.0)
    assert [by_steps.share(step) for step in (0, 2, 8)] == [0.0, 0.25, 1.0]
    by_time = Course(tiny_config(steps=8, minutes=2.0), seconds=30.0, clock=lambda: now)
    now = 130.0
    assert by_time.share(7) == by_time.share(10_000) == pytest.approx(0.5)
    assert by_time.seconds_left(7) == pytest.approx(60.0)
    assert not by_time.is_over(10_000)
    now = 190.0
    assert by_time.is_over(1)


def test_a_rate_rises_stays_and_falls() -> None:
    made = tiny_config(rate_warmup=0.1, decay_from=0.5, least_rate=0.01)
    shares = (0.0, 0.05, 0.1, 0.5, 0.75, 1.0)
    assert [made.rate_factor(s) for s in shares] == pytest.approx([0, 0.5, 1, 1, 0.5, 0.01])
    assert tiny_config(decay_from=1.0).rate_factor(1.0) == 1.0
    with pytest.raises(ValidationError, match=r"rate_warmup 0\.6 ends after decay_from 0\.5"):
        tiny_config(rate_warmup=0.6, decay_from=0.5)


def test_a_training_by_the_clock_stops_saves_and_can_go_on(tmp_path: Path) -> None:
    def ticks() -> Callable[[], float]:
        """A clock that goes on by a second whenever it is looked at."""
        return itertools.count().__next__

    config = tiny_config(minutes=1.0, checkpoint_every=10_000, validate_every=10_000)
    job = replace(tiny_job(tmp_path / "run", config), clock=ticks())
    state = run_tiny(job)
    assert 6 < state.step < 60  # steps do not count
    content = read_checkpoint(job.folder.checkpoints / LAST)
    assert content["step"] == state.step
    assert content["seconds"] >= 60.0
    longer = config.model_copy(update={"minutes": 2.0})
    again = replace(tiny_job(tmp_path / "run", longer), clock=ticks())
    assert run_tiny(again, resume=True).step > state.step


class Sized(Shapes):
    """Shapes of the size that is asked for, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(pair_every=1)
        self.asked: list[tuple[int, int]] = []

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        number, size = key if isinstance(key, tuple) else (key, 16)
        self.asked.append((number, size))
        a = shapes(number, size=size)
        return Sample(a[None], -a[None], torch.tensor([True]), torch.tensor([False]))


def test_late_patches_come_late_and_no_item_twice() -> None:
    config, data = simulated_config(steps=4, batch_size=3, late=LATE), Sized()
    course = Course(config, seconds=0.0)
    given = list(
        load_steps(data, config, course, done=(0, 0), crew=Crew(), device=torch.device("cpu"))
    )
    assert [part.a.shape[::3] for (part,), _ in given] == [(3, 16)] * 2 + [(2, 48)] * 2
    assert [items for _, items in given] == [3, 6, 8, 10]
    assert data.asked == [*((n, 16) for n in range(6)), *((n, 48) for n in range(6, 10))]


def test_a_run_with_late_patches_goes_on_exactly(tmp_path: Path) -> None:
    plain = tiny_data()
    data = TrainingData(Sized(), (), plain.summary)
    config = simulated_config(
        data=simulated_config().data.model_copy(update={"size_px": 16, "depth": 3}),
        late=LATE, checkpoint_every=2, seed=3, panel_every=100, panel_steps=(),
    )  # fmt: skip
    whole = run_tiny(tiny_job(tmp_path / "whole", config, data))
    job = tiny_job(tmp_path / "run", config, data)
    start_run(job.folder, config, {})

    def stop(step: int) -> None:
        if step == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(job, resume=False, watcher=Calling(stop))
    resumed = run_tiny(tiny_job(tmp_path / "run", config, data), resume=True)
    assert differing(whole, resumed) == []
    assert (whole.items, resumed.items) == (9, 9)


def test_late_patches_of_folders_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"late needs data\.kind simulated"):
        tiny_config(late=LATE)
