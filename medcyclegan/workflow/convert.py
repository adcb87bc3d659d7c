"""Conversion of one input on disk into one output on disk, and what is written beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from pydicom import Dataset

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.pictures import Names
from medcyclegan.evaluation.report import ScanReport, render_report
from medcyclegan.inference.channels import with_channels
from medcyclegan.inference.sliding_slabs import Progress
from medcyclegan.io.atomic import atomic_file, ensure_writable
from medcyclegan.io.bids import make_ready
from medcyclegan.io.dicom.api import (
    NO_DATE,
    Derivation,
    DerivedSeries,
    MapMaker,
    MapSource,
    derive_map,
    derive_series,
    read_series,
)
from medcyclegan.io.naming import is_folder, output_path, report_path, uncertainty_path
from medcyclegan.io.read import read_scan, refuse_unknown
from medcyclegan.io.scan import DicomSourceHeader, NiftiSourceHeader, Scan
from medcyclegan.io.sidecar import Sidecar, sidecar_if_nifti
from medcyclegan.io.write import (
    as_stored,
    clipped_warning,
    refuse_report,
    refuse_unwritable,
    write_scan,
)
from medcyclegan.models.card import Card
from medcyclegan.models.store import Model
from medcyclegan.quality.out_of_distribution import judged, verdict_of
from medcyclegan.workflow.ct_source import DerivedFrom
from medcyclegan.workflow.quantities import derive_beside, ensure_derivable
from medcyclegan.workflow.request import (
    Provenance,
    Request,
    kind_of_target,
    made_name,
    method_of,
    series_label,
    source_name,
    suffix_of,
)
from medcyclegan.workflow.synthesize import Options, Synthesis, synthesize

MAP_LABEL = "Uncertainty in HU of sCT (synthetic, not acquired)"
_CALIBRATED = "Map of the expected absolute error in HU of a synthetic CT."
_PLAIN = "Map of the spread in HU of translations of slightly changed images."


def map_series(
    series: DerivedSeries, scan: Scan, model: Model, provenance: Provenance
) -> DerivedSeries:
    """Return the data sets of the map that goes with a derived series, without pixels.

    Raises
    ------
    UsageError
        If the series is not in HU.
    """
    if model.task.target.unit != "HU":
        raise UsageError(
            f"--uncertainty in DICOM of what the model {model.card.name} makes",
            rule="a DICOM series of it is in HU",
            remedy="add --format nifti",
        )
    method = _PLAIN if model.card.uncertainty is None else _CALIBRATED
    return derive_map(
        series, scan.volume.geometry, label=MAP_LABEL, method=method, new_uid=provenance.new_uid
    )


def report_of(
    scan: Scan, synthesis: Synthesis, model: Model, *, seconds: float, version: str
) -> ScanReport:
    """Return what the report on a conversion tells."""
    features = synthesis.features
    kinds = {DicomSourceHeader: "DICOM series", NiftiSourceHeader: "NIfTI"}
    return ScanReport(
        mr=scan.volume,
        sct=synthesis.image,
        input_format=kinds.get(type(scan.source_header), "MetaImage or NRRD"),
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        seconds=seconds,
        version=version,
        warnings=synthesis.warnings,
        body=synthesis.body,
        verdict=""
        if features is None
        else verdict_of(features, synthesis.out_of_distribution).rstrip("."),
        is_out_of_distribution=bool(synthesis.out_of_distribution),
        features=() if features is None else judged(features, model.card),
        uncertainty=synthesis.uncertainty,
        uncertainty_name="Spread" if model.card.uncertainty is None else "Expected error",
        names=Names(source=source_name(model.task), made=made_name(model.task)),
    )


def sidecar_of(
    scan: Scan, synthesis: Synthesis, model: Model, *, version: str, is_map: bool = False
) -> Sidecar:
    """Return what the sidecar of a conversion tells; ``is_map``: of its map of uncertainty."""
    card, features = model.card, synthesis.features
    options, mask = synthesis.options, synthesis.options.mask
    made = made_name(card.task)
    about = source_name(card.task)
    what = f"Map of the error to expect in a {made}" if is_map else made
    facts = {
        "model": card.name,
        "model_version": card.version,
        "weights_sha256": card.weights_sha256,
        "version": version,
        "options": {
            "views": options.views,
            "bias_correction": options.bias_correction,
            "mask_sha256": "" if mask is None else sha256(mask.voxels.tobytes()).hexdigest(),
            "device": synthesis.device,
        },
        "verdict": "not judged"
        if features is None
        else verdict_of(features, synthesis.out_of_distribution),
        "doubts": list(synthesis.out_of_distribution),
        "signs": {}
        if features is None
        else {n: round(v, 4) for n, v in features.figures().items()},
        "warnings": list(synthesis.warnings),
    }
    return Sidecar(
        f"{what} from {about}, not acquired. Research use only.",
        scan=scan,
        unit="HU" if is_map else synthesis.image.unit,
        version=version,
        facts=facts,
        others=() if mask is None else (Path(options.mask_name),),
    )


__all__ = ["Conversion", "Opened", "Provenance", "Request", "convert", "finish", "open_scan"]


# Steps that are no part of the conversion itself.
_BESIDE = ("imports", "report")


@dataclass(frozen=True)
class Outputs:
    """Where the image goes, and what was asked for beside it."""

    image: Path
    report: Path | None
    uncertainty: Path | None


@dataclass(frozen=True, eq=False)
class Opened:
    """A request that was read and found fit to be translated; the outputs can be written.

    ``series`` holds the headers of a DICOM output, ``map_series`` those of its map of uncertainty.
    """

    request: Request
    scan: Scan
    outputs: Outputs
    series: DerivedSeries | None
    map_series: DerivedSeries | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Conversion:
    """What was written, from what, and how long each step took (wall seconds).

    ``image`` holds the values that the file holds: HU whole and within what is stored, the grey
    values of a picture in its own range. Of HU that is ``synthesis.image``, too.
    """

    scan: Scan
    synthesis: Synthesis
    output: Path
    report: Path | None
    seconds: dict[str, float] = field(default_factory=dict)
    uncertainty: Path | None = None
    image: Volume | None = None
    derived: tuple[Path, ...] = ()

    @property
    def written(self) -> Volume:
        """The image with the values that the file holds."""
        return self.synthesis.image if self.image is None else self.image

    @property
    def conversion_s(self) -> float:
        """From reading to writing, as a report tells it: without start and the report itself."""
        return sum(s for step, s in self.seconds.items() if step not in _BESIDE)


def convert(
    request: Request,
    model: Model,
    *,
    provenance: Provenance,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Read, translate and write one scan.

    Raises
    ------
    MedcycleganError
        InputRefused, CannotWrite, DeviceError or UsageError, each before anything is written.
    """
    opened = open_scan(request, model, provenance=provenance)
    options = replace(options or Options(), uncertainty=request.uncertainty)
    with _naming(request.source):
        result = synthesize(opened.scan, model, options=options, progress=progress)
    return finish(opened, result, model, provenance=provenance)


def open_scan(request: Request, model: Model, *, provenance: Provenance) -> Opened:
    """Do the first third of ``convert``: check and read, so that what follows cannot be refused."""
    outputs = _checked_outputs(request, model.card, version=provenance.version)
    ensure_derivable(
        request.derive,
        outputs.image,
        source=request.source,
        unit=model.task.target.unit,
        overwrite=request.overwrite,
    )
    started = time.perf_counter()
    if request.files:
        scan = read_series(request.files, source=request.source, untilt=request.untilt)
    else:
        scan = read_scan(
            request.source,
            series_uid=request.series_uid,
            modality=model.task.source.modality,
            untilt=request.untilt,
        )
    if request.others:
        modality = model.task.source.modality
        scan = with_channels(scan, [read_scan(path, modality=modality) for path in request.others])
    refuse_unwritable(outputs.image, scan, model.task)
    if outputs.report is not None:
        refuse_report(scan)
    if request.deidentifier is not None:
        scan = replace(scan, source_header=request.deidentifier.source_header(scan.source_header))
        provenance = replace(provenance, now=lambda: NO_DATE)
    series, map_headers = None, None
    if is_folder(outputs.image):
        derivation = derivation_of(model, provenance, done_before=request.done_before)
        with _naming(request.source):  # before the network runs, as odd values or shear forbid it
            series = derive_series(
                scan.volume.geometry, source_header=scan.source_header, derivation=derivation
            )
    if request.uncertainty and series is not None:
        map_headers = map_series(series, scan, model, provenance)
    return Opened(request, scan, outputs, series, map_headers, time.perf_counter() - started)


def finish(
    opened: Opened, result: Synthesis, model: Model, *, provenance: Provenance
) -> Conversion:
    """Do the last third of ``convert``: write the image, and what was asked for beside it."""
    started = time.perf_counter()
    overwrite, outputs, scan = opened.request.overwrite, opened.outputs, opened.scan
    warnings = result.warnings + clipped_warning(result.image)
    image = as_stored(result.image, outputs.image, scan, model.task)
    kept = image if image.unit == "HU" else result.image
    result = replace(result, image=kept, warnings=warnings)
    images = [(image, outputs.image, opened.series)]
    if outputs.uncertainty is not None and result.uncertainty is not None:
        images.append((result.uncertainty, outputs.uncertainty, opened.map_series))
    for volume, to, series in images:
        is_map = volume is not image
        told = sidecar_of(scan, result, model, version=provenance.version, is_map=is_map)
        write_scan(
            volume,
            source_header=scan.source_header,
            to=to,
            derivation=series,
            overwrite=overwrite,
            sidecar=sidecar_if_nifti(to, told),
        )
    derived, result = _derived(opened, result, image, provenance)
    written = time.perf_counter()
    seconds = {"read": opened.seconds, **result.seconds, "write": written - started}
    if outputs.report is not None:
        total, version = sum(seconds.values()), provenance.version
        report = report_of(scan, result, model, seconds=total, version=version)
        with atomic_file(outputs.report, overwrite=overwrite) as part:
            part.write_text(render_report(report), encoding="utf-8")
        seconds["report"] = time.perf_counter() - written
    return Conversion(
        scan, result, outputs.image, outputs.report, seconds, outputs.uncertainty, image, derived
    )


def _derived(
    opened: Opened, result: Synthesis, image: Volume, provenance: Provenance
) -> tuple[tuple[Path, ...], Synthesis]:
    """Derive what was asked for from what was written; its warnings join those of the result."""
    request, slices = opened.request, None
    paths: list[Path] = []
    said: list[str] = []
    if opened.series is not None:
        slices = MapSource([ds for _, ds in sorted(opened.series.slices, key=_place)])
    is_anonymous = request.deidentifier is not None
    maker = MapMaker(
        version=provenance.version,
        now=NO_DATE if is_anonymous else provenance.now(),
        new_uid=provenance.new_uid,
    )
    ct = DerivedFrom(image, opened.scan, opened.outputs.image, slices)
    for wanted in request.derive:
        try:
            found, warnings = derive_beside(ct, wanted, maker=maker, overwrite=request.overwrite)
        except InputRefused as error:  # the image is good, and stays
            said.append(f"{wanted.name} was not derived: {error}")
            continue
        paths += found
        said += warnings
    return tuple(paths), replace(result, warnings=(*result.warnings, *said))


def _place(one: tuple[int, Dataset]) -> int:
    return one[0]


def _checked_outputs(request: Request, card: Card, *, version: str) -> Outputs:
    """Return the paths of all outputs; refuse them, or the input, before any work."""
    refuse_unknown(request.source)
    output = output_path(
        request.source, out=request.out, format=request.format, suffix=suffix_of(card)
    )
    report = report_path(output) if request.report else None
    uncertainty = uncertainty_path(output) if request.uncertainty else None
    if request.deidentifier is not None and not is_folder(output):
        raise UsageError(
            f"--deidentify with the output {output}",
            rule="it is for DICOM output; in a NIfTI header there may be anything",
            remedy="add --format dicom, or leave it out",
        )
    if request.out is None:
        make_ready(output, version=version)
    for path in filter(None, (output, report, uncertainty)):
        folder = path is not report and is_folder(path)
        ensure_writable(path, source=request.source, overwrite=request.overwrite, folder=folder)
    return Outputs(output, report, uncertainty)


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


def derivation_of(model: Model, provenance: Provenance, *, done_before: str = "") -> Derivation:
    """Say what a series is and how it was made, for its DICOM headers.

    ``done_before`` is what was done to the image before the model.
    """
    task = model.task
    method = f"{done_before}. {method_of(task)}" if done_before else method_of(task)
    window = task.target_window
    return Derivation(
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        software_version=provenance.version,
        method=method,
        now=provenance.now(),
        new_uid=provenance.new_uid,
        series_label=series_label(model.card),
        kind=kind_of_target(task),
        value_range=None if task.target.unit == "HU" else (window.lower, window.upper),
    )
