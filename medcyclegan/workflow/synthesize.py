"""Synthesis: one scan prepared, translated and brought back to its own grid."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from medcyclegan.core.task import Task
from medcyclegan.core.timing import timed
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
    ``home``, ``signs``.
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
    card, seconds = model.card, run.seconds
    with timed(seconds, "body"):
        scan, body = _checked(scan, model.task, options)
    if options.bias_correction:
        with timed(seconds, "bias"):
            scan = _without_shading(scan, body)
    gathered = UncertaintyMap(scan, model, run) if options.uncertainty else None
    image, first = _translated(scan, body, model, options, gathered=gathered, run=run)
    features = None
    if card.reference_ranges is not None and not scan.channels:
        with run.turn, timed(seconds, "signs"):
            features = features_of(scan, image, body, first, model, device=run.device)
    odd = () if features is None else out_of_distribution_warnings(features, card)
    warnings = scan.warnings + options.notes + odd
    warnings += warnings_of(
        image, body, model.task, is_judged=features is not None, is_plane=scan.is_plane
    )
    if options.uncertainty and card.uncertainty is None:
        warnings += (NOT_CALIBRATED,)
    return Synthesis(
        image,
        body,
        warnings,
        seconds,
        features=features,
        out_of_distribution=odd,
        uncertainty=None if gathered is None else gathered.result(),
        options=options,
        device=run.device.type,
    )


def _checked(scan: Scan, task: Task, options: Options) -> tuple[Scan, Volume]:
    """Return the scan at the usual scale and its body mask; refuse what cannot be translated."""
    refuse_missing(scan, task)
    others = _fit_others(scan, task)
    scan = replace(at_usual_scale(scan, task), channels=others)
    given = None
    if options.mask is not None and not scan.is_plane:  # noise is looked for inside it
        given = find_body(scan, options.mask, mask_name=options.mask_name)
    check_source(scan, task, given)
    _refuse_unfit(scan, task, options)
    if given is not None:
        return scan, given
    return scan, find_body(scan, options.mask, mask_name=options.mask_name)


def _translated(
    scan: Scan,
    body: Volume,
    model: Model,
    options: Options,
    *,
    gathered: UncertaintyMap | None,
    run: Run,
) -> tuple[Volume, View]:
    """Translate along as many axes as asked for; along all where the map needs them.

    Returns the image on the scan's grid, and the view along the scan's own axis.
    """
    normals = _normals(scan, model.task, options.views if gathered is None else 3)
    parts = len(normals) + (gathered is not None)
    images: list[Volume] = []
    first: View | None = None
    for number, normal in enumerate(normals):
        view = view_of(scan, body, model, normal=normal, run=run.part(number, parts))
        first = first or view
        if number < options.views:
            with timed(run.seconds, "home"):
                images.append(in_native_space(view.fake, view.ready, scan, model.task))
        if gathered is not None:
            gathered.add_view(view)
    assert first is not None
    if gathered is not None:
        gathered.add_variants(first, run.part(parts - 1, parts))
    if len(images) == 1:
        return images[0], first
    median = np.median([image.voxels for image in images], axis=0)
    return images[0].with_voxels(median), first


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
