"""Synthesis: one scan prepared, translated and brought back to its own grid."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from medcyclegan.core.task import Task
from medcyclegan.core.timing import Stopwatch
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.plausibility import warnings_of
from medcyclegan.imaging.preprocessing import correct_bias
from medcyclegan.imaging.resampling import AXIAL, CORONAL, SAGITTAL, mask_on, slice_axis
from medcyclegan.inference.channels import refuse_missing
from medcyclegan.inference.slab_orientation import Run, View, in_native_space, view_of
from medcyclegan.inference.sliding_slabs import DeviceName, Progress, choose_device, memory_refusals
from medcyclegan.io.scan import Scan, telling_warnings
from medcyclegan.models.store import Model
from medcyclegan.quality.consistency import Translated
from medcyclegan.quality.input_checks import at_usual_scale, check_source, find_body
from medcyclegan.quality.out_of_distribution import (
    RunFeatures,
    features_of,
    out_of_distribution_warnings,
)
from medcyclegan.quality.uncertainty import NOT_CALIBRATED, UncertaintyMap


@dataclass(frozen=True)
class Options:
    """How to run: on which device, with one or three views, with or without bias correction.

    ``views`` 3 translates along all three axes and takes the median of the three. ``mask`` marks
    the body on any grid; without it, it is found from the image. ``uncertainty`` asks for a map
    of the error to expect, which takes some six times the time and leaves the image as it is.
    ``mask_name`` is what messages call the mask; ``notes`` are warnings on what the options were
    made of, which the result's begin with.
    """

    device: DeviceName = "auto"
    views: int = 1
    bias_correction: bool = False
    mask: Volume | None = None
    uncertainty: bool = False
    mask_name: str = "given"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.views not in (1, 3):
            raise UsageError(f"views = {self.views}", rule="it must be 1 or 3")


@dataclass(frozen=True, eq=False)
class Synthesis:
    """The synthetic image on the scan's own grid, the body mask used, and what was noticed.

    ``out_of_distribution`` are sentences, among the ``warnings`` too, each on a sign by which the
    input is not like what the model knows. ``features`` holds all that was measured, None where
    the card has no reference ranges. ``uncertainty`` is the expected absolute error, if asked for.
    ``options`` are those that it was made with, ``device`` the kind of device that they came to.
    ``seconds`` holds the wall time of the steps: ``body``, ``bias``, ``prepare``, ``network``,
    ``home``, ``features``.
    """

    image: Volume
    body: Volume
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    features: RunFeatures | None = None
    out_of_distribution: tuple[str, ...] = ()
    uncertainty: Volume | None = None
    options: Options = field(default_factory=Options)
    device: str = ""


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
    run = Run(choose_device(options.device), progress, turn or nullcontext())
    with memory_refusals(), telling_warnings(scan):
        return _synthesize(scan, model, options, run)


def _synthesize(scan: Scan, model: Model, options: Options, run: Run) -> Synthesis:
    clock = Stopwatch()
    refuse_missing(scan, model.task)
    others = clock.run("body", lambda: _fit_others(scan, model.task))
    scan = clock.run("body", lambda: at_usual_scale(scan, model.task))
    scan = replace(scan, channels=others)
    given = None
    if options.mask is not None and not scan.is_plane:
        given = clock.run(
            "body", lambda: find_body(scan, options.mask, mask_name=options.mask_name)
        )
    clock.run("body", lambda: check_source(scan, model.task, given))
    _refuse_unfit(scan, model.task, options)
    body = given or clock.run(
        "body", lambda: find_body(scan, options.mask, mask_name=options.mask_name)
    )
    if options.bias_correction:
        scan = clock.run("bias", lambda: _without_shading(scan, body))
    made = _translated(scan, body, model, options, clock=clock, run=run)
    image = Volume(made.image.numpy(), scan.volume.geometry, model.task.target.unit)
    shown = Translated(made.first.ready, made.first.fake, body)
    features = _features(scan, image, shown, model, clock=clock, run=run)
    out_of_distribution = (
        out_of_distribution_warnings(features, model.card) if features is not None else ()
    )
    warnings = scan.warnings + options.notes + out_of_distribution
    warnings += warnings_of(
        image, body, model.task, is_judged=features is not None, is_plane=scan.is_plane
    )
    if options.uncertainty and model.card.uncertainty is None:
        warnings += (NOT_CALIBRATED,)
    done = Synthesis(
        image, body, warnings, clock.seconds, features, out_of_distribution, made.uncertainty
    )
    return replace(done, options=options, device=run.device.type)


@dataclass(frozen=True, eq=False)
class _Made:
    """The result (i, j, k), the view that it began with, and the map if asked for."""

    image: Tensor
    first: View
    uncertainty: Volume | None


def _translated(
    scan: Scan, body: Volume, model: Model, options: Options, *, clock: Stopwatch, run: Run
) -> _Made:
    """Translate along as many axes as asked for; along all where the map needs them."""
    task = model.task
    gathered = UncertaintyMap(scan, task, clock) if options.uncertainty else None
    normals = _normals(scan, task, options.views if gathered is None else 3)
    parts = len(normals) + (gathered is not None)
    images: list[Tensor] = []
    first: View | None = None
    for number, normal in enumerate(normals):
        part = run.part(number, parts)
        view = view_of(scan, body, model, normal=normal, run=part, clock=clock)
        first = first or view
        if number < options.views:
            images.append(
                clock.run("home", partial(in_native_space, view.fake, view.ready, scan, task))
            )
        if gathered is not None:
            gathered.add_view(view)
    assert first is not None
    if gathered is not None:
        gathered.add_variants(first, model, run.part(parts - 1, parts))
    image = images[0] if len(images) == 1 else torch.stack(images).median(dim=0).values
    return _Made(image, first, gathered.result(model) if gathered is not None else None)


def _features(
    scan: Scan, image: Volume, done: Translated, model: Model, *, clock: Stopwatch, run: Run
) -> RunFeatures | None:
    """Measure the signs of a run, where the model's card has reference ranges."""
    if model.card.reference_ranges is None or scan.channels:
        return None
    with run.turn:
        return clock.run("signs", lambda: features_of(scan, image, done, model, device=run.device))


def _fit_others(scan: Scan, task: Task) -> tuple[Scan, ...]:
    """The further images of a subject, each checked as the first is."""
    fit = tuple(at_usual_scale(one, task) for one in scan.channels)
    for one in fit:
        check_source(one, task, None)
    return fit


def _without_shading(scan: Scan, body: Volume) -> Scan:
    """Correct every image of a subject."""
    corrected = [
        replace(one, volume=correct_bias(one.volume, mask_on(body, one.volume.geometry)))
        for one in scan.channels
    ]
    return replace(scan, volume=correct_bias(scan.volume, body), channels=tuple(corrected))


def _refuse_unfit(scan: Scan, task: Task, options: Options) -> None:
    """Refuse options that do not go with the scan or the task."""
    if options.bias_correction and task.source.modality != "MR":
        raise UsageError(
            f"Bias correction of {task.source.modality}",
            rule="only MR has a shading of its coils",
            remedy="leave it out",
        )
    if options.uncertainty and scan.channels:
        raise UsageError(
            "--uncertainty with several images of a subject",
            rule="the map compares what becomes of one image",
            remedy="leave it out",
        )
    if 1 not in scan.volume.geometry.shape:
        return
    if options.views > 1:
        raise InputRefused(
            f"{scan.source} is a single slice", rule="3 views need a volume", remedy="take 1 view"
        )
    if options.uncertainty:
        raise InputRefused(
            f"{scan.source} is a single slice",
            rule="the map of uncertainty needs a volume, as it compares three views",
            remedy="leave out --uncertainty",
        )


def _normals(scan: Scan, task: Task, views: int) -> list[int]:
    """World axes to run slabs along, the scan's own first."""
    first = slice_axis(scan.volume.geometry, task)
    rest = [axis for axis in (AXIAL, CORONAL, SAGITTAL) if axis != first]
    return [first, *rest][:views]
