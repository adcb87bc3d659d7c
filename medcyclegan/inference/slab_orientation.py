"""One orientation of slabs: a scan prepared along an axis, translated, on its own grid again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from medcyclegan.core.task import Task
from medcyclegan.core.timing import timed
from medcyclegan.core.volume import Volume
from medcyclegan.errors import ModelRefused
from medcyclegan.imaging.preprocessing import (
    Prepared,
    keep_outside_fov,
    prepare,
    prepare_plane,
    to_native_space,
)
from medcyclegan.imaging.resampling import SAGITTAL
from medcyclegan.inference.channels import stacked
from medcyclegan.inference.sliding_slabs import Progress, translate
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model


@dataclass(frozen=True)
class Run:
    """Where the network runs, whom it tells, and what is entered while it runs.

    ``seconds`` gathers the wall time of the steps; the parts of a run share it.
    """

    device: torch.device
    progress: Progress | None
    turn: AbstractContextManager[object]
    seconds: dict[str, float] = field(default_factory=dict)

    def part(self, number: int, parts: int) -> Run:
        """Return the run of one of several equal parts, its slabs counted among those of all."""
        told = self.progress
        if told is None:
            return self
        report: Progress = lambda done, total: told(number * total + done, parts * total)  # noqa: E731
        return replace(self, progress=report)


@dataclass(frozen=True, eq=False)
class View:
    """What the network was given along one world axis, and what it gave.

    ``passes`` are (D, H, W) in [-1, 1] on the grid of ``ready``: the image and, where the task
    says so, its mirror image turned back. ``fake`` is their mean.
    """

    ready: Prepared
    passes: tuple[Tensor, ...]
    fake: Tensor


def view_of(scan: Scan, body: Volume, model: Model, *, normal: int, run: Run) -> View:
    """Prepare a scan and translate it along the world axis ``normal``.

    Raises
    ------
    ModelRefused
        If the network gives NaN or infinity.
    """
    with timed(run.seconds, "prepare"):
        ready = _prepared(scan, body, model.task, normal)
    with run.turn, timed(run.seconds, "network"):
        passes = tuple(passes_of(model, ready, normal, run))
    fake = passes[0] if len(passes) == 1 else (passes[0] + passes[1]) / 2.0
    if not torch.isfinite(fake).all():
        raise ModelRefused(
            f"The model {model.card.name} gave NaN or infinity for this scan",
            rule="its output must be finite",
            remedy="try --device cpu; if that does not help, train or export it again",
        )
    return View(ready, passes, fake)


def passes_of(model: Model, ready: Prepared, normal: int, run: Run) -> Iterator[Tensor]:
    """Yield what the network makes of the values, and of their mirror image where asked for."""
    if not model.task.mirror:
        yield translated(model, ready, run)
        return
    # on the model grid, R comes first but for the slabs' normal
    left_right = -3 if normal == SAGITTAL else -2
    for number, turned in enumerate((ready.values, ready.values.flip(left_right))):
        fake = translated(model, replace(ready, values=turned), run.part(number, 2))
        yield fake if number == 0 else fake.flip(left_right)


def translated(model: Model, ready: Prepared, run: Run) -> Tensor:
    """Run a model over a prepared volume (C, D, H, W), or (D, H, W) of one channel, in [-1, 1].

    Returns (D, H, W).
    """
    task = model.task
    made = translate(
        model.generator,
        ready.values,
        depth=task.depth,
        stride=task.stride_at(ready.geometry.spacing_mm[0]),
        device=run.device,
        progress=run.progress,
    )
    return made[0] if made.ndim == 4 else made


def in_native_space(fake: Tensor, ready: Prepared, scan: Scan, task: Task) -> Volume:
    """Turn (D, H, W) in [-1, 1] into physical values (i, j, k) on the scan's grid."""
    image = to_native_space(fake, ready, task, scan.volume.geometry)
    return keep_outside_fov(image, ready, scan.volume) if task.keeps_values else image


def _prepared(scan: Scan, body: Volume, task: Task, normal: int) -> Prepared:
    if scan.is_plane:
        return prepare_plane(scan.volume, task)
    return stacked(prepare(scan.volume, body, task, normal=normal), scan, body, task)
