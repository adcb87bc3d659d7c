"""What a worker process has for all of its items: the model, and the places at the stages.

An item is one task in one thread. Reading, the network and writing of different items overlap
because a process has several threads; the places bound how many scans are in memory, and see to it
that one network runs at a time, with all cores that the process has.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache

import torch

from medcyclegan.errors import ModelRefused
from medcyclegan.models.store import Model, load_model

# One scan read or written, one in the network, one waiting for it.
SCANS_IN_MEMORY = 3


@dataclass(frozen=True)
class Station:
    """One a process; ``files`` guards pydicom and matplotlib, which hold state for all threads."""

    model: Model | None
    seats: AbstractContextManager[object] = field(
        default_factory=lambda: threading.BoundedSemaphore(SCANS_IN_MEMORY)
    )
    network: AbstractContextManager[object] = field(default_factory=threading.Lock)
    files: AbstractContextManager[object] = field(default_factory=threading.Lock)


_opening = threading.Lock()


def station(model: str, model_sha256: str, *, threads: int) -> Station:
    """Return this process's station for a model, opened at the first call; "" is no model.

    Raises
    ------
    ModelRefused
        If the model cannot be opened, or is not the one that the run was started with.
    """
    with _opening:
        return _open(model, model_sha256, threads)


@cache
def _open(name: str, model_sha256: str, threads: int) -> Station:
    model = load_model(name) if name else None
    if model is not None and (found := model.card.weights_sha256) != model_sha256:
        raise ModelRefused(
            f"{name} has sha256 {found[:12]}… on this worker",
            rule=f"the run was started with {model_sha256[:12]}…",
            remedy="install the same version on all workers, or start them again",
        )
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")  # of libraries; ours are sentences in the rows
    return Station(model)
