"""State of a training, its initialisation from a model, and its checkpoints.

Checkpoints: everything that the rest of a run depends on, written whole or not at all.
``last.pt`` is the newest, ``previous.pt`` the one before. They are read with torch's loader of
plain data (``weights_only=True``), which runs no code, after the checksums inside were compared.
"""

from __future__ import annotations

import logging
import pickle
import random
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medcyclegan.core.task import Task
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.models.store import Model, load_model
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.engines.base import Engine
from medcyclegan.training.parallel import Crew, gathered
from medcyclegan.training.stopping import DiscriminatorWatch


@dataclass(eq=False)
class Window:
    """Counts and sums of the losses since the last row of the log; sums stay on their device."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take up the losses of a step; not every step has all of them."""
        for name, value in losses.items():
            self.counts[name] = self.counts.get(name, 0) + 1
            before = self.sums.get(name)
            self.sums[name] = value if before is None else before + value

    def means(self) -> dict[str, Tensor]:
        """Mean losses, by name, each over the steps that had it."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}


@dataclass(eq=False)
class TrainState:
    """``step`` steps were done with ``items`` items, in ``seconds``.

    ``best`` is the lowest figure of a validation so far, ``worse`` how many validations in a row
    have not been below it.
    """

    engine: Engine
    watch: DiscriminatorWatch
    step: int = 0
    items: int = 0
    seconds: float = 0.0
    window: Window = field(default_factory=Window)
    best: float | None = None
    worse: int = 0


def initial_model(config: TrainConfig) -> Model | None:
    """Open the model that the generator from A to B begins with, if there is to be one.

    Raises
    ------
    UsageError
        If its network, or what it was trained to take and to give, is another.
    ModelRefused
        If it cannot be found or opened.
    """
    if config.init_from is None:
        return None
    model = load_model(config.init_from)
    found = _fits(model.card.generator, model.task)
    for key, wanted in _fits(config.generator, config.task("a-to-b")).items():
        if wanted != found[key]:
            raise UsageError(
                f"init_from {config.init_from}: {key} is {wanted} here and {found[key]} there",
                rule="the weights of a model fit one network and one kind of input and output",
                remedy=f"set {key} as the model has it",
            )
    return model


def begin(engine: Engine, config: TrainConfig) -> None:
    """Give the generator from A to B, and its moving average, the weights of ``init_from``."""
    model = initial_model(config)
    if model is not None:
        engine.begin(model.generator.state_dict())


def _fits(generator: GeneratorConfig, task: Task) -> dict[str, object]:
    """All that must be the same for weights to fit, by the keys of a configuration.

    Where levels lie is no matter of the weights, which weigh them; how many there are is.
    """
    sides = {"data.a": task.source, "data.b": task.target}
    network = {f"generator.{name}": value for name, value in generator.model_dump().items()}
    network["generator.levels"] = f"{len(generator.levels)} in number"
    return {
        **network,
        "data.depth": task.depth,
        "data.spacing_mm": task.spacing_mm,
        **{
            f"{side}.{name}": value
            for side, domain in sides.items()
            for name, value in domain.model_dump().items()
        },
    }


LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"

_log = logging.getLogger(__name__)


def save_checkpoint(folder: Path, state: TrainState, config: TrainConfig, *, crew: Crew) -> None:
    """Write ``last.pt`` and keep the one before; all processes call it, rank 0 writes."""
    members = gathered(_own_part(state), crew)
    if not crew.leads:
        return
    content = {
        **_weights_to_export(state, config),
        "engine": state.engine.state_dict(),
        "items": state.items,
        "best": state.best,
        "worse": state.worse,
        "members": members,
    }
    last = folder / LAST
    with atomic_file(last, overwrite=True) as temporary:
        torch.save(content, temporary)
        if last.exists():
            last.replace(folder / PREVIOUS)


def save_best(folder: Path, state: TrainState, config: TrainConfig) -> None:
    """Write the averaged generators alone, for the export."""
    with atomic_file(folder / BEST, overwrite=True) as temporary:
        torch.save(_weights_to_export(state, config), temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as plain data.

    Raises
    ------
    InputRefused
        If it is missing or damaged.
    """
    try:
        # torch does not compare the checksums of its files
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} does not fit")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return content
    except pickle.UnpicklingError as error:
        raise InputRefused(
            f"{path} cannot be read (it holds more than plain data)",
            rule="a checkpoint holds tensors, numbers and text, and no code",
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise InputRefused(f"{path} cannot be read ({reason})") from error


def newest_checkpoint(folder: Path) -> dict[str, Any]:
    """Read ``last.pt``, or if it is damaged the one before, with a warning to the log.

    Raises
    ------
    UsageError
        If there is no checkpoint.
    InputRefused
        If none of them can be read.
    """
    there = [folder / name for name in (LAST, PREVIOUS) if (folder / name).exists()]
    if not there:
        raise UsageError(
            f"{folder} holds no checkpoint",
            rule="a run is resumed from one",
            remedy="leave out --resume, or name the folder of a run",
        )
    for number, path in enumerate(there):
        try:
            return read_checkpoint(path)
        except InputRefused as error:
            if number == len(there) - 1:
                raise
            _log.warning("%s Going back to the checkpoint before, %s.", error, there[number + 1])
            # out of the way, or the next checkpoint would keep it in place of the good one
            with suppress(OSError):
                path.replace(path.with_suffix(".damaged"))
    raise AssertionError("the loop returns or raises")


def restore(state: TrainState, content: dict[str, Any], *, crew: Crew) -> None:
    """Take up a checkpoint in a fresh state of the same settings."""
    state.engine.load_state_dict(content["engine"])
    state.step, state.items = content["step"], content["items"]
    state.seconds, state.best = content["seconds"], content["best"]
    state.worse = content["worse"]
    members = content["members"]
    if len(members) != crew.size:
        _log.warning(
            "The checkpoint is of %d processes, now there are %d: the run goes on, but not as it "
            "would have gone on.", len(members), crew.size,
        )  # fmt: skip
    own = members[crew.rank % len(members)]
    state.engine.load_process_state(own["engine"])
    device = state.engine.setup.device
    state.window = Window(own["window"]["counts"], _on(own["window"]["sums"], device))
    state.watch.quiet_steps = _on(own["quiet_steps"], device)
    _restore_random(own["random"])


def _weights_to_export(state: TrainState, config: TrainConfig) -> dict[str, Any]:
    return {
        "config": config.model_dump_json(),
        "step": state.step,
        "seconds": state.seconds,
        "averages": {way: dict(net.state_dict()) for way, net in state.engine.exported().items()},
    }


def _own_part(state: TrainState) -> dict[str, Any]:
    """What each process has of its own: pools of fakes, losses, random numbers."""
    return {
        "engine": state.engine.process_state(),
        "window": asdict(state.window),
        "quiet_steps": dict(state.watch.quiet_steps),
        "random": _random_state(),
    }


def _on(values: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in values.items()}


def _random_state() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
    }


def _restore_random(content: dict[str, Any]) -> None:
    torch.set_rng_state(content["torch"])
    if torch.cuda.is_available() and len(content["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(content["cuda"])
    random.setstate(content["python"])
    name, keys, *rest = content["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
