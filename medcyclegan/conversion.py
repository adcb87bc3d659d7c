"""One input on disk into one output on disk, with all that can be refused refused first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from medcyclegan.errors import UsageError
from medcyclegan.evaluation.report import ScanReport, write_report
from medcyclegan.io.atomic import atomic_file, ensure_writable
from medcyclegan.io.dicom_derive import Derivation
from medcyclegan.io.dicom_read import is_dicom
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import DicomPassport, NiftiPassport, Scan
from medcyclegan.io.write import write_scan
from medcyclegan.models.store import Model
from medcyclegan.synthesis import Options, Synthesis, synthesize
from medcyclegan.translator import Progress

Format = Literal["nifti", "dicom"]
SUFFIX = "_sct"
_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".img", ".dcm")


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
    output = output_path(request)
    as_folder = not output.name.lower().endswith(_ENDINGS)
    ensure_writable(output, source=request.source, overwrite=request.overwrite, folder=as_folder)
    report = report_path(output) if request.report else None
    if report is not None:
        ensure_writable(report, source=request.source, overwrite=request.overwrite)
    started = time.perf_counter()
    scan = read_scan(
        request.source, series_uid=request.series_uid, modality=model.task.source.modality
    )
    read = time.perf_counter()
    result = synthesize(scan, model, options=options, progress=progress)
    made = time.perf_counter()
    write_scan(
        result.image,
        passport=scan.passport,
        to=output,
        derivation=derivation_of(model, maker),
        overwrite=request.overwrite,
    )
    written = time.perf_counter()
    seconds = {"read": read - started, **result.seconds, "write": written - made}
    if report is not None:
        content = _report(scan, result, model, maker=maker, seconds=sum(seconds.values()))
        with atomic_file(report, overwrite=request.overwrite) as part:
            write_report(content, part)
        seconds["report"] = time.perf_counter() - written
    return Conversion(scan, result, output, report, seconds)


def output_path(request: Request) -> Path:
    """Return where the output goes: beside the input, by its name, unless said otherwise.

    Raises
    ------
    UsageError
        If the format asked for and the ending of the output contradict each other.
    """
    wanted = request.format or _format_of_ending(request.out) or _format_of_input(request.source)
    if request.out is None:
        return _beside(request.source, wanted)
    if wanted == "dicom" and request.out.name.lower().endswith(_ENDINGS):
        raise UsageError(
            f"--out {request.out} with --format dicom",
            rule="a DICOM series is written into a folder",
            remedy="name a folder",
        )
    if wanted != "dicom" and _format_of_ending(request.out) is None:
        if not request.out.is_dir():
            raise UsageError(
                f"--out {request.out}",
                rule="the name must end in .nii, .nii.gz, .mha, .mhd or .nrrd, or be a folder that "
                "exists",
                remedy="name a file, or give --format dicom for a folder of slices",
            )
        return request.out / _beside(request.source, wanted).name
    return request.out


def report_path(output: Path) -> Path:
    """Return where the report on an output goes."""
    return output.with_name(f"{_stem(output)}_report.html")


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


def _format_of_ending(out: Path | None) -> str | None:
    """``nifti``, ``itk`` or None, by the name."""
    if out is None:
        return None
    name = out.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return "nifti"
    return "itk" if name.endswith((".mha", ".mhd", ".nrrd")) else None


def _format_of_input(source: Path) -> str:
    if source.is_dir() or (source.is_file() and is_dicom(source)):
        return "dicom"
    return "itk" if source.name.lower().endswith((".mha", ".mhd", ".nrrd", ".nhdr")) else "nifti"


def _beside(source: Path, wanted: str) -> Path:
    """The default output: a file or folder named after the input, in the same place.

    A file of a DICOM series stands for its folder.
    """
    source = source.absolute()
    series = source.parent if source.is_file() and is_dicom(source) else source
    named = series.with_name(f"{_stem(series)}{SUFFIX}")
    if wanted == "dicom":
        return named
    ending = ".nii.gz"
    if wanted == "itk":
        ending = {".mhd": ".mhd", ".nrrd": ".nrrd", ".nhdr": ".nrrd"}.get(source.suffix, ".mha")
    elif source.name.lower().endswith(".nii"):
        ending = ".nii"
    return named.with_name(named.name + ending)


def _stem(path: Path) -> str:
    for ending in _ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.name


def _report(
    scan: Scan, result: Synthesis, model: Model, *, maker: Maker, seconds: float
) -> ScanReport:
    kinds = {DicomPassport: "DICOM series", NiftiPassport: "NIfTI"}
    return ScanReport(
        mr=scan.volume,
        sct=result.image,
        input_format=kinds.get(type(scan.passport), "MetaImage or NRRD"),
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        seconds=seconds,
        version=maker.version,
        warnings=result.warnings,
    )
