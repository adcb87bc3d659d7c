"""What is asked of a conversion, and what the outer world gives to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from medcyclegan.io.dicom.deidentify import Deidentifier
from medcyclegan.io.naming import Format


@dataclass(frozen=True)
class Request:
    """What to convert and where to; ``out`` and ``format`` follow from the input if not given.

    ``files`` are those of a DICOM series where they are known; else they are looked for in
    ``source``. ``others`` are further images of the same subject, in the order of the model's
    channels after the first. ``uncertainty`` asks for a map of the error to expect beside the
    output. With a ``deidentifier``, for DICOM output, the series tells nothing of the patient.
    ``untilt`` corrects the tilt of the gantry of a CT in DICOM; the output has a grid of its own
    then.
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


@dataclass(frozen=True)
class Maker:
    """What the outer world gives: the version that runs, the clock, a maker of DICOM UIDs."""

    version: str
    now: Callable[[], datetime]
    new_uid: Callable[[], str]
