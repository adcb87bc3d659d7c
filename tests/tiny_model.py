"""Models small enough for tests, and a made head that they can be tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.task import Domain, Percentiles, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.card import CalibrationData, Card, Range, ReferenceRanges
from medcyclegan.models.store import Model, save_model
from medcyclegan.networks.factory import GeneratorConfig, make_generator

TINY = GeneratorConfig(widths=(4, 4))
HU_WINDOW = Window(lower=-1000.0, upper=2000.0)


def tiny_task(**changes: Any) -> Task:
    """MR by percentiles to CT in -1000..2000 HU, 4 mm, slabs of three; or with ``changes``."""
    task = Task(
        name="tiny",
        source=Domain(modality="MR", unit="a.u.", scaling=Percentiles(lower=1.0, upper=99.0)),
        target=Domain(modality="CT", unit="HU", scaling=HU_WINDOW),
        spacing_mm=4.0,
        thick_slice_mm=6.0,
        depth=3,
    )
    return task.model_copy(update=changes)


def tiny_card(task: Task | None = None) -> Card:
    """A card that is valid but for the sha256, which ``save_model`` sets."""
    training = {
        "data": [], "simulated": True, "config": "none", "seed": 0, "steps": 0, "hours": 0.0,
        "machine": "none", "method": "none: fresh weights",
    }  # fmt: skip
    return Card.model_validate(
        {
            "name": "tiny", "version": "0", "summary": "fresh weights for tests",
            "task": task or tiny_task(), "generator": TINY, "weights_sha256": "0" * 64,
            "training": training, "scores": [], "intended_use": "tests",
            "limits": ["anything but tests"], "licence": "CC0-1.0",
        }
    )  # fmt: skip


def tiny_weights(seed: int = 0, *, depth: int = 3) -> dict[str, torch.Tensor]:
    """Fresh weights of the tiny generator."""
    torch.manual_seed(seed)
    return make_generator(TINY, depth=depth).state_dict()


def tiny_folder(
    folder: Path, *, seed: int = 0, task: Task | None = None, **on_card: object
) -> Path:
    """Save a tiny model into ``folder``, which must not exist, and return it."""
    card = tiny_card(task).model_copy(update=on_card)
    save_model(folder, card=card, weights=tiny_weights(seed, depth=card.task.depth))
    return folder


def known(reverse_sha256: str | None = None, **ranges: tuple[float, float]) -> ReferenceRanges:
    """Reference ranges of some features."""
    return ReferenceRanges(
        measured_on=(CalibrationData(name="tests", licence="CC0-1.0", images=1),),
        ranges={name: Range(low=low, high=high) for name, (low, high) in ranges.items()},
        reverse_sha256=reverse_sha256,
    )


def model_of(generator: nn.Module, task: Task) -> Model:
    """A model that was never on disk."""
    return Model(tiny_card(task), generator)


def identity_model(**changes: Any) -> Model:
    """A model that gives back what it gets, with equal windows of -1000..2000 on both sides."""
    source = Domain(modality="MR", unit="a.u.", scaling=HU_WINDOW)
    return model_of(nn.Identity(), tiny_task(**{"source": source, **changes}))


def head_on(geometry: Geometry, *, radius_mm: float = 60.0) -> tuple[Volume, Volume]:
    """A ball around the origin: MR signal linear in the world, 0 outside; and its mask."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    inside = (world**2).sum(axis=-1) < radius_mm**2
    signal = 600.0 + world @ np.array([3.0, -2.0, 4.0])
    mr = Volume(np.where(inside, signal, 0.0).astype(np.float32), geometry, "a.u.")
    return mr, mr.with_voxels(inside.astype(np.float32), unit="mask")


def scan_of(volume: Volume, *, modality: str = "MR") -> Scan:
    """A scan as a reader would give it."""
    return Scan(volume, ItkSourceHeader(), Path("head.mha"), modality)
