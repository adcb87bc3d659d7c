"""Calibration of a model: reference ranges of its features, and its curve of uncertainty.

Features are measured on images that the model is meant for; their least and largest values
become the reference ranges. Where the true image is known, the error that goes with the spread of
slightly changed translations becomes the curve of uncertainty. Both go onto the model's card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.inference.sliding_slabs import DeviceName
from medcyclegan.io.scan import Scan
from medcyclegan.models.card import CalibrationData, Card, Range, ReferenceRanges, SpreadCalibration
from medcyclegan.models.store import Model
from medcyclegan.quality.input_features import Figures
from medcyclegan.quality.out_of_distribution import outside
from medcyclegan.quality.uncertainty import (
    LEAST_RANK,
    ErrorSample,
    error_sample,
    fitted_curve,
    rank_of,
)
from medcyclegan.workflow.synthesize import Options, synthesize

# Ranges are rounded outwards to so many of a unit, so that what was measured lies within.
ROUNDED_TO = 1e4
_NOTHING_YET = ReferenceRanges(
    measured_on=(CalibrationData(name="nothing yet", licence="none", images=1),), ranges={}
)


@dataclass(frozen=True, eq=False)
class ReferenceImage:
    """An image that a model is meant for, of the set ``data``, and the true one if it is known.

    Images of one ``subject`` are left out together where false alarms are counted.
    """

    name: str
    subject: str
    data: str
    scan: Scan
    truth: Volume | None = None


@dataclass(frozen=True)
class ImageSet:
    """Where reference images come from; ``lists_files`` puts their names onto the card."""

    name: str
    licence: str
    lists_files: bool = False


@dataclass(frozen=True)
class Measured:
    """The features of one reference image, or why it could not be translated."""

    name: str
    subject: str
    data: str
    figures: Figures
    reverse_sha256: str | None = None
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was measured, and what goes onto the card.

    ``rank`` is the mean of Spearman's correlation of spread and error over the pairs, None without
    pairs. Where it is below ``LEAST_RANK`` there is no ``curve``: a map by it would tell nothing.
    """

    measured: tuple[Measured, ...]
    samples: tuple[ErrorSample, ...]
    ranges: ReferenceRanges
    curve: SpreadCalibration | None
    rank: float | None = None


def calibrate(
    model: Model,
    images: Iterable[ReferenceImage],
    sets: Sequence[ImageSet],
    *,
    device: DeviceName = "auto",
    done: Callable[[Measured], None] = lambda measured: None,
) -> Calibration:
    """Measure a model on reference images, one after the other; ``done`` is told of each.

    An image that the model refuses is named in ``measured`` and counts for nothing.

    Raises
    ------
    InputRefused
        If all were refused, or the two images of a pair do not lie at one place.
    DeviceError
        If the device is not there or its memory does not suffice.
    """
    measured: list[Measured] = []
    samples: list[ErrorSample] = []
    for image in images:
        one, sample = measure(image, model, device=device)
        measured.append(one)
        samples += [sample] if sample is not None else []
        done(one)
    ranges = ranges_of(measured, sets)
    rank = float(np.mean([rank_of(sample) for sample in samples])) if samples else None
    is_of_use = rank is not None and rank >= LEAST_RANK
    curve = fitted_curve(samples, fitted_on=_names(samples)) if is_of_use else None
    return Calibration(tuple(measured), tuple(samples), ranges, curve, rank)


def measure(
    image: ReferenceImage, model: Model, *, device: DeviceName = "auto"
) -> tuple[Measured, ErrorSample | None]:
    """Return the features of one image, and its errors where the true image is known."""
    card = model.card.model_copy(update={"reference_ranges": _NOTHING_YET, "uncertainty": None})
    options = Options(device=device, uncertainty=image.truth is not None)
    try:
        made = synthesize(image.scan, replace(model, card=card), options=options)
    except InputRefused as refusal:
        return Measured(image.name, image.subject, image.data, {}, refused=str(refusal)), None
    assert made.features is not None  # the card asks for them
    features = made.features
    one = Measured(
        image.name, image.subject, image.data, features.figures(), features.reverse_sha256
    )
    if image.truth is None or made.uncertainty is None:
        return one, None
    sample = error_sample(
        image.name, made.image, made.uncertainty, image.truth, made.body, model.task
    )
    return one, sample


def ranges_of(measured: Sequence[Measured], sets: Sequence[ImageSet]) -> ReferenceRanges:
    """Return the ranges of all features over what was measured, and the sets that it was of.

    Raises
    ------
    InputRefused
        If there is nothing but refusals.
    """
    taken = [one for one in measured if not one.refused]
    if not taken:
        why = "".join(f"\n  {one.name}: {one.refused}" for one in measured)
        raise InputRefused(
            f"None of {len(measured)} images can be calibrated on{why}",
            rule="the model must be able to translate them",
            remedy="give images like those that it is meant for",
        )
    found: dict[str, Range] = {}
    for name in dict.fromkeys(name for one in taken for name in one.figures):
        values = [one.figures[name] for one in taken if name in one.figures]
        low = np.floor(min(values) * ROUNDED_TO) / ROUNDED_TO
        high = np.ceil(max(values) * ROUNDED_TO) / ROUNDED_TO
        found[name] = Range(low=float(low), high=float(high))
    reverse = next((one.reverse_sha256 for one in taken if one.reverse_sha256), None)
    data = [_data_of(one, [m for m in taken if m.data == one.name]) for one in sets]
    return ReferenceRanges(
        measured_on=tuple(one for one in data if one is not None),
        ranges=found,
        reverse_sha256=reverse,
    )


def _data_of(one: ImageSet, measured: Sequence[Measured]) -> CalibrationData | None:
    if not measured:
        return None
    files = tuple(image.name for image in measured) if one.lists_files else ()
    return CalibrationData(name=one.name, licence=one.licence, images=len(measured), files=files)


def false_alarms(
    measured: Sequence[Measured], *, known: ReferenceRanges | None = None
) -> list[tuple[str, tuple[str, ...]]]:
    """Return the images that ranges without their subject would flag, and by which features.

    It tells how many alarms to expect on images of the same kind, of other people. Where ranges
    that the card has are widened, they are ``known``: each image is held against them, too.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    taken = [one for one in measured if not one.refused]
    for one in taken:
        others = [other for other in taken if other.subject != one.subject]
        ranges = known
        if others:
            sets = [ImageSet(data, "none") for data in dict.fromkeys(o.data for o in others)]
            ranges = ranges_of(others, sets)
            ranges = known.extended_by(ranges) if known is not None else ranges
        if ranges is not None and (odd := outside(one.figures, ranges)):
            found.append((one.name, tuple(odd)))
    return found


def calibrated_card(card: Card, calibration: Calibration, *, extend: bool = False) -> Card:
    """Return the card with what was measured; ``extend`` widens its ranges, and replaces no more.

    Without true images the card's curve stays as it is; if theirs is of no use, there is none.
    """
    ranges = calibration.ranges
    if extend and card.reference_ranges is not None:
        ranges = card.reference_ranges.extended_by(ranges)
    curve = calibration.curve if calibration.samples else card.uncertainty
    return card.model_copy(update={"reference_ranges": ranges, "uncertainty": curve})


def _names(samples: Sequence[ErrorSample]) -> str:
    """Say how many images a curve was fitted on; their names may tell of patients."""
    return f"{len(samples)} pairs, {sum(sample.error.size for sample in samples)} voxels"
