"""What ends a training early, each by its own message and exit code, the last checkpoint kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from medcyclegan.errors import DeviceError, ExitCode, Interrupted, TrainingStopped
from medcyclegan.training.checkpoint import LAST, read_checkpoint
from medcyclegan.training.data.types import Sample
from medcyclegan.training.loop import train
from medcyclegan.training.run_folder import start_run
from medcyclegan.training.stopping import DiscriminatorWatch, memory_errors, stop_on_signals
from tests.training.tiny_training import (
    Calling,
    Shapes,
    TrainingData,
    differing,
    run_tiny,
    tiny_config,
    tiny_data,
    tiny_job,
)


class Poisoned(Shapes):
    """Item 9, which is of the fifth step, holds a NaN."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if index == 9:
            sample.a[0, 0, 0] = float("nan")
        return sample


def poisoned() -> TrainingData:
    data = tiny_data()
    return TrainingData(Poisoned(), data.validation, data.summary)


def test_a_nan_stops_the_run_and_the_last_checkpoint_is_good(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingStopped, match=r"Step 5: a gradient is not finite \(mean losses before: .*cycle 1"
    ):
        run_tiny(tiny_job(tmp_path, data=poisoned()))
    assert TrainingStopped.exit_code == ExitCode.TRAINING_STOPPED == 7
    content = read_checkpoint(tmp_path / "checkpoints" / LAST)
    assert content["step"] == 3
    networks = content["engine"]["networks"].values()
    weights = [w for network in networks for w in network.values()]
    assert all(torch.isfinite(weight).all() for weight in weights)
    # It can be resumed from there, on data that are good.
    assert run_tiny(tiny_job(tmp_path), resume=True).step == 6


def test_a_vanished_discriminator_stops_the_run() -> None:
    def quiet(first: float = 1e-4) -> dict[str, torch.Tensor]:
        found = {"discriminator_a": first, "discriminator_b": 0.2, "cycle": 0.0}
        return {name: torch.tensor(value) for name, value in found.items()}

    watch = DiscriminatorWatch(tiny_config(vanished_below=1e-3, vanished_steps=3))
    for _ in range(2):
        watch.add(quiet())
    watch.add(quiet(first=0.1))  # it counts anew
    for _ in range(2):
        watch.add(quiet())
    watch.refuse_vanished(5)
    watch.add(quiet())
    with pytest.raises(TrainingStopped, match=r"Step 6: discriminator_a .*below 0\.001 for 3"):
        watch.refuse_vanished(6)
    off = DiscriminatorWatch(tiny_config(vanished_below=0, vanished_steps=1))
    off.add(quiet())
    off.refuse_vanished(1)


def test_a_run_with_a_vanished_discriminator_keeps_its_checkpoint(tmp_path: Path) -> None:
    # A generator that does not learn is soon told from real images.
    config = tiny_config(
        generator_rate=1e-9, discriminator={"width": 8, "layers": 1}, losses={"identity": 0.0},
        vanished_below=0.2, vanished_steps=3, steps=200, decay_from=1.0, log_every=200,
        validate_every=200,
    )  # fmt: skip
    with pytest.raises(TrainingStopped, match=r"discriminator_[ab] has had a loss below 0\.2"):
        run_tiny(tiny_job(tmp_path, config))
    assert read_checkpoint(tmp_path / "checkpoints" / LAST)["step"] % 3 == 0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_out_of_memory_names_the_settings_to_lower(error: Exception) -> None:
    with pytest.raises(DeviceError) as told, memory_errors(tiny_config()):
        raise error
    for setting in ("data.size_px 16", "batch_size 2", "accumulate 1", "widths [4, 4]"):
        assert setting in str(told.value)
    assert told.value.exit_code == ExitCode.DEVICE_OR_MEMORY


def test_another_error_is_not_taken_for_one_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_errors(tiny_config()):
        raise RuntimeError("shapes differ")


def test_the_words_of_the_allocator_are_those_that_are_looked_for() -> None:
    with pytest.raises(DeviceError, match="Out of memory"), memory_errors(tiny_config()):
        torch.empty(10**15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_with_its_code(number: signal.Signals, tmp_path: Path) -> None:
    def ask(step: int) -> None:
        if step == 1:
            os.kill(os.getpid(), number)

    job = tiny_job(tmp_path / "stopped")
    before = signal.getsignal(number)
    start_run(job.folder, job.config, {})
    with pytest.raises(Interrupted, match=rf"Stopped by {number.name} after step 2") as told:
        train(job, resume=False, watcher=Calling(ask))
    codes = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
    assert told.value.exit_code == codes[number]
    assert signal.getsignal(number) == before
    assert read_checkpoint(job.folder.checkpoints / LAST)["step"] == 2
    resumed = run_tiny(tiny_job(tmp_path / "stopped"), resume=True)
    assert differing(run_tiny(tiny_job(tmp_path / "whole")), resumed) == []


def test_a_second_interrupt_does_not_wait() -> None:
    with stop_on_signals() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
