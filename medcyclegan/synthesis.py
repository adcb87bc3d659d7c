"""One scan from start to end: prepared, translated, and brought home to its own grid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.foreground import body_mask_ct, body_mask_mr
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model
from medcyclegan.plausibility import bone_warning, refuse_ct, refuse_noise, size_warning
from medcyclegan.transforms.bias import correct_bias
from medcyclegan.transforms.grid import AXIAL, CORONAL, SAGITTAL, slice_axis
from medcyclegan.transforms.prepare import go_home, prepare
from medcyclegan.transforms.resample import to_geometry
from medcyclegan.translator import DeviceName, Progress, choose_device, memory_refusals, translate
from medcyclegan.volume import Volume

Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """How to run: on which device, with one or three views, with or without bias correction.

    ``views`` 3 translates along all three axes and takes the median of the three. ``mask`` marks
    the body on any grid; without it, it is found from the image.
    """

    device: DeviceName = "auto"
    views: int = 1
    bias_correction: bool = False
    mask: Volume | None = None

    def __post_init__(self) -> None:
        if self.views not in (1, 3):
            raise UsageError(f"views = {self.views}", rule="it must be 1 or 3")


@dataclass(frozen=True, eq=False)
class Synthesis:
    """The synthetic image on the scan's own grid, the body mask used, and what was noticed.

    ``seconds`` holds the wall time of the steps: ``body``, ``bias``, ``prepare``, ``network``,
    ``home``.
    """

    image: Volume
    body: Volume
    warnings: tuple[str, ...]
    seconds: dict[str, float]


def synthesize(
    scan: Scan, model: Model, *, options: Options | None = None, progress: Progress | None = None
) -> Synthesis:
    """Translate a scan with a model; the result lies on the scan's grid bit for bit.

    Raises
    ------
    InputRefused
        If the scan is of another modality than the model translates, or shows no body.
    DeviceError
        If the device is not there or its memory does not suffice.
    """
    options = options or Options()
    device = choose_device(options.device)
    with memory_refusals():
        return _synthesize(scan, model, options, device, progress)


def _synthesize(
    scan: Scan, model: Model, options: Options, device: torch.device, progress: Progress | None
) -> Synthesis:
    clock = _Clock()
    clock.run("body", lambda: _check_modality(scan, model))
    volume = scan.volume
    body = clock.run("body", lambda: _find_body(scan, options.mask))
    if options.bias_correction:
        volume = clock.run("bias", lambda: correct_bias(volume, body))
    views: list[Tensor] = []
    for number, normal in enumerate(_normals(scan, model, options.views)):
        report = _shifted(progress, number, options.views)
        views.append(_one_view(volume, body, model, clock, _View(normal, device, report)))
    values = views[0] if len(views) == 1 else torch.stack(views).median(dim=0).values
    home = Volume(values.numpy(), scan.volume.geometry, model.task.target.unit)
    warnings = scan.warnings + size_warning(body)
    if home.unit == "HU":
        warnings += bone_warning(home, body)
    return Synthesis(home, body, warnings, clock.seconds)


@dataclass(frozen=True)
class _View:
    normal: int
    device: torch.device
    progress: Progress | None


def _one_view(volume: Volume, body: Volume, model: Model, clock: _Clock, view: _View) -> Tensor:
    """Translate along one axis; returns physical values (i, j, k) on the scan's grid."""
    task = model.task
    ready = clock.run("prepare", lambda: prepare(volume, body, task, normal=view.normal))
    fake = clock.run(
        "network",
        lambda: translate(
            model.generator,
            ready.values,
            depth=task.depth,
            device=view.device,
            progress=view.progress,
        ),
    )
    image = clock.run("home", lambda: go_home(fake, ready, task, volume.geometry))
    return torch.from_numpy(image.voxels.copy())


def _check_modality(scan: Scan, model: Model) -> None:
    wanted = model.task.source.modality
    if scan.modality and scan.modality != wanted:
        raise InputRefused(
            f"{scan.source} is of modality {scan.modality}",
            rule=f"the model {model.card.name} translates {wanted}",
            remedy=f"give a {wanted}, or another --model",
        )
    if wanted == "MR":
        refuse_ct(scan.volume, source=scan.source)
        refuse_noise(scan.volume, source=scan.source)


def _find_body(scan: Scan, mask: Volume | None) -> Volume:
    if mask is not None:
        marked = mask.with_voxels((mask.voxels > 0).astype(np.float32), unit="mask")
        moved = to_geometry(marked, scan.volume.geometry, fill=0.0)
        return moved.with_voxels((moved.voxels >= 0.5).astype(np.float32))
    find = body_mask_ct if scan.volume.unit == "HU" else body_mask_mr
    return find(scan.volume)


def _normals(scan: Scan, model: Model, views: int) -> list[int]:
    """World axes to run slabs along, the scan's own first."""
    first = slice_axis(scan.volume.geometry, model.task)
    rest = [axis for axis in (AXIAL, CORONAL, SAGITTAL) if axis != first]
    return [first, *rest][:views]


def _shifted(progress: Progress | None, number: int, views: int) -> Progress | None:
    """Count the slabs of all views as one task."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, views * total)


class _Clock:
    """Adds up wall time by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, step: str, work: Callable[[], Result]) -> Result:
        """Run ``work`` and add its time to ``step``."""
        started = time.perf_counter()
        result = work()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - started
        return result
