"""One input on disk into one output on disk, with all that can be refused refused first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.report import ScanReport, write_report
from medcyclegan.io.atomic import atomic_file, ensure_writable
from medcyclegan.io.dicom.derive import Derivation, derive_series, seeded_uid_maker
from medcyclegan.io.naming import Format, is_folder, output_path, report_path
from medcyclegan.io.read import read_scan, refuse_irregular
from medcyclegan.io.scan import DicomPassport, NiftiPassport, Scan
from medcyclegan.io.write import write_scan
from medcyclegan.models.store import Model
from medcyclegan.synthesis import Options, Synthesis, synthesize
from medcyclegan.translator import Progress


@dataclass(frozen=True)
class Request:
    """What to convert and where to; ``out`` and ``format`` follow from the input if not given."""

    source: Path
    out: Path | None = None
    format: Format | None = None
    series_uid: str | None = None
    report: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Maker:
    """What the outer world gives: the version that runs, the clock, a maker of DICOM UIDs."""

    version: str
    now: Callable[[], datetime]
    new_uid: Callable[[], str]


@dataclass(frozen=True, eq=False)
class Conversion:
    """What was written, from what, and how long each step took (wall seconds)."""

    scan: Scan
    synthesis: Synthesis
    output: Path
    report: Path | None
    seconds: dict[str, float] = field(default_factory=dict)


def convert(
    request: Request,
    model: Model,
    *,
    maker: Maker,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Read, translate and write one scan.

    Raises
    ------
    MedcycleganError
        InputRefused, CannotWrite, DeviceError or UsageError, each before anything is written.
    """
    output, report = _checked_outputs(request)
    started = time.perf_counter()
    scan = read_scan(
        request.source, series_uid=request.series_uid, modality=model.task.source.modality
    )
    with _naming(request.source):
        if is_folder(output):
            _refuse_underivable(scan, model, maker)
        read = time.perf_counter()
        result = synthesize(scan, model, options=options, progress=progress)
    made = time.perf_counter()
    derivation, overwrite = derivation_of(model, maker), request.overwrite
    write_scan(
        result.image,
        passport=scan.passport,
        to=output,
        derivation=derivation,
        overwrite=overwrite,
    )
    written = time.perf_counter()
    seconds = {"read": read - started, **result.seconds, "write": written - made}
    done = Conversion(scan, result, output, report, seconds)
    if report is not None:
        with atomic_file(report, overwrite=overwrite) as part:
            write_report(_report(done, model, maker), part)
        seconds["report"] = time.perf_counter() - written
    return done


def _checked_outputs(request: Request) -> tuple[Path, Path | None]:
    """Return the paths of output and report; refuse them, or the input, before any work."""
    refuse_irregular(request.source)
    output = output_path(request.source, out=request.out, format=request.format)
    report = report_path(output) if request.report else None
    source, overwrite = request.source, request.overwrite
    ensure_writable(output, source=source, overwrite=overwrite, folder=is_folder(output))
    if report is not None:
        ensure_writable(report, source=source, overwrite=overwrite)
    return output, report


@contextmanager
def _naming(source: Path) -> Iterator[None]:
    """Name the input in refusals by what knows voxels and headers alone."""
    try:
        yield
    except InputRefused as error:
        if str(source) in error.found:
            raise
        found = f"{source}: {error.found}"
        raise InputRefused(found, rule=error.rule, remedy=error.remedy) from error


def _refuse_underivable(scan: Scan, model: Model, maker: Maker) -> None:
    """Find out before the network runs that a series cannot be derived: odd values, shear."""
    trial = replace(derivation_of(model, maker), new_uid=seeded_uid_maker("trial"))
    derive_series(scan.volume.geometry, passport=scan.passport, derivation=trial)


def derivation_of(model: Model, maker: Maker) -> Derivation:
    """Say how a synthetic CT series was made, for its DICOM headers."""
    return Derivation(
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        software_version=maker.version,
        method="Synthetic CT from MR by a 2.5D convolutional network",
        now=maker.now(),
        new_uid=maker.new_uid,
    )


def _report(done: Conversion, model: Model, maker: Maker) -> ScanReport:
    kinds = {DicomPassport: "DICOM series", NiftiPassport: "NIfTI"}
    return ScanReport(
        mr=done.scan.volume,
        sct=done.synthesis.image,
        input_format=kinds.get(type(done.scan.passport), "MetaImage or NRRD"),
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        seconds=sum(done.seconds.values()),
        version=maker.version,
        warnings=done.synthesis.warnings,
    )
