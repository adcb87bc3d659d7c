"""One scan from start to end: prepared, translated, and brought home to its own grid."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medcyclegan.errors import InputRefused, ModelRefused, UsageError
from medcyclegan.intake import check_source, find_body
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model
from medcyclegan.plausibility import (
    bone_warning,
    coarse_warning,
    size_warning,
    slices_warning,
)
from medcyclegan.stopwatch import Stopwatch
from medcyclegan.task import Task
from medcyclegan.transforms.bias import correct_bias
from medcyclegan.transforms.grid import AXIAL, CORONAL, SAGITTAL, slice_axis
from medcyclegan.transforms.prepare import Prepared, go_home, prepare, prepare_plane
from medcyclegan.transforms.unseen import keep_unseen
from medcyclegan.translator import DeviceName, Progress, choose_device, memory_refusals, translate
from medcyclegan.volume import Volume


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
    scan: Scan,
    model: Model,
    *,
    options: Options | None = None,
    progress: Progress | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> Synthesis:
    """Translate a scan with a model; the result lies on the scan's grid bit for bit.

    ``turn`` is entered while the network runs: a lock there lets threads share one device, each
    preparing its scan while another's is translated. It is entered once a view.

    Raises
    ------
    InputRefused
        If the scan is of another modality than the model translates, or shows no body.
    DeviceError
        If the device is not there or its memory does not suffice.
    """
    options = options or Options()
    run = _Run(choose_device(options.device), progress, turn or nullcontext())
    with memory_refusals():
        return _synthesize(scan, model, options, run)


@dataclass(frozen=True)
class _Run:
    device: torch.device
    progress: Progress | None
    turn: AbstractContextManager[object]


def _synthesize(scan: Scan, model: Model, options: Options, run: _Run) -> Synthesis:
    clock = Stopwatch()
    clock.run("body", lambda: check_source(scan, model.task))
    _refuse_unfit(scan, model.task, options)
    body = clock.run("body", lambda: find_body(scan, options.mask))
    if options.bias_correction:
        scan = clock.run("bias", lambda: replace(scan, volume=correct_bias(scan.volume, body)))
    views: list[Tensor] = []
    for number, normal in enumerate(_normals(scan, model, options.views)):
        report = _shifted(run.progress, number, options.views)
        view = _View(normal, replace(run, progress=report))
        views.append(_one_view(scan, body, model, clock, view))
    values = views[0] if len(views) == 1 else torch.stack(views).median(dim=0).values
    home = Volume(values.numpy(), scan.volume.geometry, model.task.target.unit)
    warnings = scan.warnings + _warnings(scan, home, body, model.task)
    return Synthesis(home, body, warnings, clock.seconds)


@dataclass(frozen=True)
class _View:
    normal: int
    run: _Run


def _one_view(scan: Scan, body: Volume, model: Model, clock: Stopwatch, view: _View) -> Tensor:
    """Translate along one axis; returns physical values (i, j, k) on the scan's grid."""
    task, volume = model.task, scan.volume
    ready = clock.run("prepare", lambda: _prepared(scan, body, task, view.normal))
    with view.run.turn:
        fake = clock.run("network", lambda: _through(model, ready.values, view))
    if not torch.isfinite(fake).all():
        raise ModelRefused(
            f"The model {model.card.name} gave NaN or infinity for this scan",
            rule="its output must be finite",
            remedy="try --device cpu; if that does not help, train or export it again",
        )
    image = clock.run("home", lambda: go_home(fake, ready, task, volume.geometry))
    if task.keeps_values:
        made = image
        image = clock.run("home", lambda: keep_unseen(made, ready, volume))
    return torch.from_numpy(image.voxels.copy())


def _through(model: Model, values: Tensor, view: _View) -> Tensor:
    """Run the network over (D, H, W), and over its mirror image where the task says so."""
    device, progress, depth = view.run.device, view.run.progress, model.task.depth
    if not model.task.mirror:
        return translate(model.generator, values, depth=depth, device=device, progress=progress)
    # on the model grid, R comes first but for the slabs' normal
    left_right = 0 if view.normal == SAGITTAL else 1
    fakes = []
    for number, turned in enumerate((values, values.flip(left_right))):
        report = _shifted(progress, number, 2)
        fakes.append(
            translate(model.generator, turned, depth=depth, device=device, progress=report)
        )
    return (fakes[0] + fakes[1].flip(left_right)) / 2.0


def _prepared(scan: Scan, body: Volume, task: Task, normal: int) -> Prepared:
    if scan.is_plane:
        return prepare_plane(scan.volume, task)
    return prepare(scan.volume, body, task, normal=normal)


def _refuse_unfit(scan: Scan, task: Task, options: Options) -> None:
    """Refuse options that do not go with the scan or the task."""
    if options.bias_correction and task.source.modality != "MR":
        raise UsageError(
            f"Bias correction of {task.source.modality}",
            rule="only MR has a shading of its coils",
            remedy="leave it out",
        )
    if options.views > 1 and 1 in scan.volume.geometry.shape:
        raise InputRefused(
            f"{scan.source} is a single slice", rule="3 views need a volume", remedy="take 1 view"
        )


def _warnings(scan: Scan, image: Volume, body: Volume, task: Task) -> tuple[str, ...]:
    """Sentences on what is odd about a result, or about the scan for this task."""
    said = slices_warning(image, depth=task.depth)
    if scan.is_plane:
        return said
    if task.source.modality == "MR" and image.unit == "HU":
        said += size_warning(body) + bone_warning(image, body)
    if task.keeps_values and task.spacing_mm is not None:
        said += coarse_warning(image, spacing_mm=task.spacing_mm)
    return said


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
