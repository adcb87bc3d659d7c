"""Conversion request and its provenance, and the product: its DICOM kind and its names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from medcyclegan.core.task import Domain, Task
from medcyclegan.io.dicom.api import Deidentifier, KindName
from medcyclegan.io.naming import SCT_SUFFIX, Format, suffix_for
from medcyclegan.models.card import Card
from medcyclegan.workflow.quantities import Wanted


@dataclass(frozen=True)
class Request:
    """What to convert and where to; ``out`` and ``format`` follow from the input if not given.

    ``files`` are those of a DICOM series where they are known; else they are looked for in
    ``source``. ``others`` are further images of the same subject, in the order of the model's
    channels after the first. ``uncertainty`` asks for a map of the error to expect beside the
    output. With a ``deidentifier``, for DICOM output, the series tells nothing of the patient.
    ``untilt`` corrects the tilt of the gantry of a CT in DICOM; the output has a grid of its own
    then. ``derive`` is what is to be derived of a CT in HU that is made, and put beside it.
    ``done_before`` says what is done to the image between reading and the model, for a DICOM
    header.
    """

    source: Path
    out: Path | None = None
    format: Format | None = None
    series_uid: str | None = None
    report: bool = False
    uncertainty: bool = False
    overwrite: bool = False
    files: tuple[Path, ...] = ()
    deidentifier: Deidentifier | None = None
    others: tuple[Path, ...] = ()
    untilt: bool = False
    derive: tuple[Wanted, ...] = ()
    done_before: str = ""


@dataclass(frozen=True)
class Provenance:
    """What the outer world gives: the version that runs, the clock, a maker of DICOM UIDs."""

    version: str
    now: Callable[[], datetime]
    new_uid: Callable[[], str]


_NOT_ACQUIRED = "(synthetic, not acquired)"
# SeriesDescription has 64 characters; some are left for the source's description.
_NAME_LENGTH = 32


def kind_of_target(task: Task) -> KindName:
    """Return the kind of DICOM image that the target of a task is.

    Grey values that are neither HU, MR signal nor a radiograph are a secondary capture.
    """
    if task.target.unit == "HU":
        return "CT"
    if task.target.modality == "MR":
        return "MR"
    return "XR" if task.target.modality == "XR" else "SC"


def method_of(task: Task) -> str:
    """Return a sentence on how the output came about, for DerivationDescription."""
    network = "2D" if task.depth == 1 else "2.5D"
    made, source = _named(task.target), _named(task.source)
    return f"Synthetic {made} from {source} by a {network} convolutional network"


def series_label(card: Card) -> str:
    """Return the beginning of SeriesDescription: sCT, sMR, or the model where neither says it."""
    source, target = card.task.source, card.task.target
    is_known = source.modality != target.modality and kind_of_target(card.task) in ("CT", "MR")
    short = f"s{target.modality}" if is_known else card.name[:_NAME_LENGTH].rstrip()
    return f"{short} {_NOT_ACQUIRED}"


def made_name(task: Task) -> str:
    """Return what the output is called in a report: what was made, and that it was."""
    is_other = task.source.modality != task.target.modality
    return f"{'Synthetic' if is_other else 'Translated'} {_named(task.target)}"


def task_said(task: Task) -> str:
    """Return what is made of what, within a sentence: ``MR to synthetic CT``."""
    made = made_name(task)
    return f"{source_name(task)} to {made[0].lower()}{made[1:]}"


def source_name(task: Task) -> str:
    """Return what the input is called in a report."""
    return _named(task.source)


def suffix_of(card: Card) -> str:
    """Return what follows the input's name in that of the output: ``_sct``, or the model's name."""
    is_sct = card.task.source.modality == "MR" and card.task.target.unit == "HU"
    return SCT_SUFFIX if is_sct else suffix_for(card.name)


def _named(domain: Domain) -> str:
    if domain.modality == "CT" and domain.unit != "HU":
        return "picture of a CT"
    return {"XR": "radiograph", "image": "picture"}.get(domain.modality, domain.modality)
