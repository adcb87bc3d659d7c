"""Settings of a training on simulated pairs, small enough for tests."""

from __future__ import annotations

from typing import Any

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import SimulatedData
from tests.tiny_model import TINY, tiny_task


def simulated_data(**changes: Any) -> SimulatedData:
    """MR of any contrast to CT, at 2 mm in slabs of three; or with ``changes``."""
    task = tiny_task()
    plain = {
        "kind": "simulated", "a": task.source, "b": task.target, "spacing_mm": 2.0,
        "depth": task.depth, "size_px": 40,
    }  # fmt: skip
    return SimulatedData.model_validate({**plain, **changes})


def simulated_config(**changes: Any) -> TrainConfig:
    """The tiny generator, six steps, no workers; or with ``changes``."""
    plain = {
        "name": "tiny", "summary": "for tests", "engine": {"kind": "supervised"},
        "data": simulated_data(), "generator": TINY, "steps": 6, "workers": 0,
        "precision": "float32",
    }  # fmt: skip
    return TrainConfig.model_validate({**plain, **changes})
