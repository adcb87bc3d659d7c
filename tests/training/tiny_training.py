"""A training small enough for tests: two kinds of made images, tiny networks, a few steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.core.task import Domain, Window
from medcyclegan.training.checkpoint import TrainState
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import (
    DataSummary,
    Sample,
    SideSummary,
    TrainingData,
    ValidationCase,
)
from medcyclegan.training.engines.cyclegan import CycleGAN, CycleGANSettings
from medcyclegan.training.engines.registry import ENGINES
from medcyclegan.training.loop import Job, Progress, Watcher, fresh_state, train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run_folder import RunFolder, start_run

DEPTH, SIZE = 3, 16


def shapes(seed: int, *, depth: int = DEPTH, size: int = SIZE) -> Tensor:
    """Smooth blobs (depth, size, size) in [-1, 1] that depend on the seed alone."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, depth, 4, 4), generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return smooth[0].clamp(-1.0, 1.0)


class Shapes(Dataset[Sample]):
    """Side b is half of side a, plus a quarter; item n depends on n alone.

    Every ``pair_every``-th item is a pair, 0 for none.
    """

    def __init__(self, *, pair_every: int = 0) -> None:
        self.pair_every = pair_every

    def __getitem__(self, index: int) -> Sample:
        paired = self.pair_every > 0 and index % self.pair_every == 0
        a = shapes(2 * index)
        other = a if paired else shapes(2 * index + 1)
        return Sample(a, to_b(other), torch.tensor(paired))


def to_b(a: Tensor) -> Tensor:
    """What side b is for side a."""
    return 0.25 + 0.5 * a


def tiny_config(**changes: Any) -> TrainConfig:
    """Six steps of two items, all losses on; or with ``changes``.

    Those that are settings of an engine go to ``engine``, by default a CycleGAN.
    """
    window = Window(lower=-1000.0, upper=2000.0)
    hounsfield = Domain(modality="CT", unit="HU", scaling=window)
    engines = {
        "cyclegan": {
            "discriminator": {"width": 4, "layers": 1, "spectral_norm": True},
            "losses": {"structure": 1.0, "gradient": 1.0, "paired_l1": 1.0},
            "generator_rate": 1e-2, "discriminator_rate": 1e-2, "pool_size": 3,
        },
        "contrastive": {
            "discriminator": {"width": 4, "layers": 1}, "patches": 16, "generator_rate": 1e-2,
            "discriminator_rate": 1e-2,
        },
        "supervised": {
            "learning_rate": 1e-2, "border_weight": 0.15, "volume_weight": 0.1,
            "density_weight": 0.05,
        },
    }  # fmt: skip
    plain = {
        "name": "tiny", "summary": "made shapes for tests",
        "data": {"kind": "folders", "a": hounsfield, "b": hounsfield, "depth": DEPTH,
                 "size_px": SIZE, "pairs": "by-name"},
        "generator": {"widths": (4, 4)},
        "steps": 6, "decay_from": 4 / 6, "batch_size": 2, "seed": 3, "workers": 0,
        "ema_decay": 0.9, "log_every": 2, "validate_every": 3, "checkpoint_every": 3,
        "panel_every": 100, "panel_steps": (), "precision": "float32",
    }  # fmt: skip
    kind = changes.pop("engine", "cyclegan")
    own = ENGINES[kind].settings_type.model_fields
    engine = {name: changes.pop(name) for name in list(changes) if name in own}
    settings = {"kind": kind, **engines.get(kind, {}), **engine}
    if kind == "supervised":
        plain["generator"] = {"widths": (4, 4), "levels": (-1.0, 0.0, 1.0)}
    return TrainConfig.model_validate({**plain, "engine": settings, **changes})


def gan_settings(config: TrainConfig) -> CycleGANSettings:
    """The settings of the engine of a CycleGAN's training."""
    assert isinstance(config.engine, CycleGANSettings)
    return config.engine


def gan_of(state: TrainState) -> CycleGAN:
    """The engine of a CycleGAN's training."""
    assert isinstance(state.engine, CycleGAN)
    return state.engine


def fresh(config: TrainConfig, *, rank: int = 0) -> TrainState:
    """A state before the first step, on the CPU."""
    return fresh_state(config, torch.device("cpu"), Crew(rank))


class Calling(Watcher):
    """Calls a function with the number of every step that was done."""

    def __init__(self, call: Callable[[int], object]) -> None:
        self.call = call

    def step(self, progress: Progress) -> None:
        self.call(progress.step)


def tiny_data(*, pair_every: int = 4, cases: int = 2, paired: bool = True) -> TrainingData:
    """Shapes to train on, and some that were never trained on to validate with."""
    images = [shapes(-number - 1, depth=5) for number in range(cases)]
    validation = [
        ValidationCase(f"case-{number}", image, to_b(image), image > -2.0, paired)
        for number, image in enumerate(images)
    ]
    side = SideSummary(
        folder=Path("shapes"), unit="HU", formats={"made": 1},
        shape=((16, 16), (16, 16), (5, 5)), spacing_mm=((1.0, 1.0),) * 3, values=(-1000.0, 2000.0),
        training_inputs=8, training_subjects=8, validation_inputs=cases, validation_subjects=cases,
    )  # fmt: skip
    summary = DataSummary(side, side, training_pairs=0, validation_pairs=cases, warnings=(),
                          seconds=0.0)  # fmt: skip
    return TrainingData(Shapes(pair_every=pair_every), validation, summary)


def tiny_job(
    folder: Path, config: TrainConfig | None = None, data: TrainingData | None = None
) -> Job:
    """A job of one process on the CPU."""
    return Job(
        config or tiny_config(), data or tiny_data(), RunFolder(folder), torch.device("cpu"), Crew()
    )


def run_tiny(job: Job, *, resume: bool = False) -> TrainState:
    """Start the run's folder if need be, and train."""
    if not resume:
        start_run(job.folder, job.config, {})
    return train(job, resume=resume, watcher=Watcher())


def numbers_of(state: TrainState) -> dict[str, Tensor]:
    """All tensors that a training changes, by their place in what a checkpoint keeps."""
    engine = state.engine
    found: dict[str, Tensor] = {}

    def collect(value: object, name: str) -> None:
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                collect(inner, f"{name}.{key}")
        elif isinstance(value, list | tuple):
            for number, inner in enumerate(value):
                collect(inner, f"{name}.{number}")

    collect({**engine.state_dict(), "own": engine.process_state()}, "")
    return {name.removeprefix("."): value for name, value in found.items()}


def differing(one: TrainState, other: TrainState) -> list[str]:
    """The names of tensors that are not equal to the last bit."""
    ours, theirs = numbers_of(one), numbers_of(other)
    assert ours.keys() == theirs.keys()
    return [name for name, value in ours.items() if not torch.equal(value, theirs[name])]


def parallel_config(engine: str) -> TrainConfig:
    """Three steps of four items, without a pool: what each process keeps differs by its nature.

    No more steps, as Adam makes much of rounding: batches summed in another order give weights that
    are close after three steps, and part company from the fifth on.
    """
    plain = {"batch_size": 4, "steps": 3, "decay_from": 1.0, "engine": engine}
    if engine == "supervised":
        return tiny_config(**plain, learning_rate=1e-3)
    if engine == "contrastive":  # every place is compared: processes draw places of their own
        rates = {"generator_rate": 1e-3, "discriminator_rate": 1e-3}
        return tiny_config(**plain, patches=64, **rates)
    return tiny_config(**plain, pool_size=0, generator_rate=1e-3, discriminator_rate=1e-3)
