"""One item from input to record, in a worker process that keeps the model open.

What a worker process has for all of its items: the model, and the places at the stages.
An item is one task in one thread. Reading, the network and writing of different items overlap
because a process has several threads; the places bound how many scans are in memory, and see to it
that one network runs at a time, with all cores that the process has.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from distributed import get_worker

from medcyclegan.errors import InputRefused, MedcycleganError, ModelRefused, exit_code_of
from medcyclegan.evaluation.metrics import AIR_BELOW_HU, BONE_ABOVE_HU, no_reference
from medcyclegan.imaging.enhancement import parse_step
from medcyclegan.io.held_files import held_files
from medcyclegan.io.read import read_mask
from medcyclegan.io.scan import Scan
from medcyclegan.models.card import Card
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.batch.item import (
    Item,
    Mark,
    Row,
    Settings,
    Status,
    done_in_this_run,
    has_record,
    hash_input,
    read_mark,
    remove_mark,
    was_begun,
    write_mark,
    write_record,
)
from medcyclegan.workflow.batch.previews import thumbnail_path, write_preview
from medcyclegan.workflow.convert import Conversion, Request, finish, open_scan
from medcyclegan.workflow.enhance import Recipe, enhance_file
from medcyclegan.workflow.synthesize import Options, Synthesis, synthesize

# One scan read or written, one in the network, one waiting for it.
SCANS_IN_MEMORY = 3


@dataclass(frozen=True)
class Station:
    """One a process; ``files`` guards pydicom and matplotlib, which hold state for all threads."""

    model: Model | None
    seats: AbstractContextManager[object] = field(
        default_factory=lambda: threading.BoundedSemaphore(SCANS_IN_MEMORY)
    )
    network: AbstractContextManager[object] = field(default_factory=threading.Lock)
    files: AbstractContextManager[object] = field(default_factory=threading.Lock)


_opening = threading.Lock()


def station(model: str, model_sha256: str, *, threads: int) -> Station:
    """Return this process's station for a model, opened at the first call; "" is no model.

    Raises
    ------
    ModelRefused
        If the model cannot be opened, or is not the one that the run was started with.
    """
    with _opening:
        return _open(model, model_sha256, threads)


@cache
def _open(name: str, model_sha256: str, threads: int) -> Station:
    model = load_model(name) if name else None
    if model is not None and (found := model.card.weights_sha256) != model_sha256:
        raise ModelRefused(
            f"{name} has sha256 {found[:12]}… on this worker",
            rule=f"the run was started with {model_sha256[:12]}…",
            remedy="install the same version on all workers, or start them again",
        )
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")  # of libraries; ours are sentences in the rows
    return Station(model)


def qa_figures(scan: Scan, synthesis: Synthesis) -> dict[str, float]:
    """Return extremes, the body's volume, for HU its median and shares of air and bone, and the
    figures of ``no_reference`` and the features of the run; without what is not defined.
    """
    image = synthesis.image
    inside = image.voxels[synthesis.body.voxels > 0]
    figures = {
        "minimum": round(float(image.voxels.min()), 1),
        "maximum": round(float(image.voxels.max()), 1),
    }
    if not scan.is_plane:
        millilitres = inside.size * float(np.prod(image.geometry.spacing_mm)) / 1000.0
        figures["body_ml"] = round(millilitres, 1)
    if image.unit == "HU" and inside.size:
        figures |= {
            "body_median_hu": round(float(np.median(inside)), 1),
            "body_air_percent": round(100.0 * float((inside < AIR_BELOW_HU).mean()), 2),
            "body_bone_percent": round(100.0 * float((inside > BONE_ABOVE_HU).mean()), 2),
        }
    if synthesis.features is not None:
        figures |= {name: round(value, 4) for name, value in synthesis.features.figures().items()}
    features = asdict(no_reference(scan.volume, image, synthesis.body))
    return figures | {
        name: round(figure, 3) for name, figure in features.items() if math.isfinite(figure)
    }


# An input that was begun twice and ended neither time is given up.
MOST_TRIES = 2
DIED = "the worker process died while it had this input in hand"
DIED_TWICE = f"{DIED}, twice"

_log = logging.getLogger(__name__)


def work(item: Item, settings: Settings) -> Row:
    """Convert one item; a refusal or fault is a row, too.

    Where this run began the item before, a worker died with it in hand. It is not tried again
    among others, which might die with it: the row says ``waiting``. Where this run completed it,
    the row was lost with a worker, and is given again.
    """
    if row := done_in_this_run(item, settings):
        return row
    if _tries(item, settings):
        return item.row(Status.WAITING, DIED)
    return _marked(item, settings, tries=1)


def work_alone(item: Item, settings: Settings) -> Row:
    """Convert an item that a worker died with, once more, while no other item is worked on."""
    if row := done_in_this_run(item, settings):
        return row
    if _tries(item, settings) >= MOST_TRIES:
        return item.row(Status.FAILED, DIED_TWICE)
    return _marked(item, settings, tries=MOST_TRIES)


def _tries(item: Item, settings: Settings) -> int:
    mark = read_mark(item, settings)
    return mark.tries if mark is not None and mark.run == settings.run else 0


def _marked(item: Item, settings: Settings, *, tries: int) -> Row:
    worker = get_worker()
    # An output that is there without a record is ours if a process died between the two.
    may_replace = settings.overwrite or was_begun(item, settings) or has_record(item, settings)
    output = settings.out / item.output
    was_there = output.exists()
    try:
        place = station(
            settings.model,
            settings.model_sha256,
            threads=settings.threads or worker.state.nthreads,
        )
        with place.seats:
            write_mark(item, Mark(run=settings.run, tries=tries, worker=worker.address), settings)
            row = _convert(item, settings, place, may_replace=may_replace)
            if row.status in (Status.DONE, Status.DOUBTFUL):
                write_record(item, row, settings)
    except Exception as error:
        _log.debug("%s", item.source, exc_info=True)
        row = row_of(error, item, settings)
    is_without_record = row.status is Status.FAILED and not was_there and output.exists()
    if not is_without_record:  # else the mark says to the next run that the output is ours
        remove_mark(item, settings)
    return row


def _convert(item: Item, settings: Settings, place: Station, *, may_replace: bool) -> Row:
    started = time.perf_counter()
    request = _request(item, settings, overwrite=may_replace)
    request.out.parent.mkdir(parents=True, exist_ok=True)  # type: ignore[union-attr]
    if settings.methods:
        digest, row = _enhance(item, settings, place, request)
    else:
        digest, row = _translate(item, settings, place, request)
    return row.model_copy(
        update={"input_sha256": digest, "seconds": round(time.perf_counter() - started, 3)}
    )


def _translate(item: Item, settings: Settings, place: Station, request: Request) -> tuple[str, Row]:
    """The sha256 of what was read, and the row of what was made of it."""
    model, provenance = place.model, settings.provenance
    assert model is not None  # an order without one has methods
    is_shared = item.series_uid or settings.format == "dicom" or settings.report or item.mask
    files = place.files if is_shared else nullcontext()
    with held_files() as held:
        with files:
            digest = hash_input(item, settings.root)
            opened = open_scan(request, model, provenance=provenance)
            options = _options(item, settings)
        held.let_go()
        result = synthesize(opened.scan, model, options=options, turn=place.network)
        with files:
            done = finish(opened, result, model, provenance=provenance)
            if settings.report:
                write_preview(done, thumbnail_path(item, settings))
    return digest, _row_done(item, settings, done, model.card)


def _enhance(item: Item, settings: Settings, place: Station, request: Request) -> tuple[str, Row]:
    """As ``_translate``, with the steps of enhancement before; one image at a time."""
    steps = tuple(parse_step(method) for method in settings.methods)
    recipe = Recipe(settings.methods, steps, place.model)
    to, overwrite = settings.out / item.output, request.overwrite
    with place.network, place.files, held_files():
        digest = hash_input(item, settings.root)
        done = enhance_file(
            request.source, recipe, to=to, provenance=settings.provenance, overwrite=overwrite
        )
    card = place.model.card if place.model else None
    return digest, item.row(
        Status.DONE,
        model=card.name if card else "",
        model_sha256=card.weights_sha256 if card else "",
        warnings=tuple(_without_roots(w, settings) for w in done.warnings),
    )


def _options(item: Item, settings: Settings) -> Options:
    """How to run, with the mask of this patient read; what its reader warned of is noted."""
    options = replace(settings.options, uncertainty=settings.extras.uncertainty)
    if item.mask is None:
        return options
    mask = read_mask(item.mask)
    notes = tuple(f"The mask {item.mask.name}: {said}" for said in mask.warnings)
    return replace(options, mask=mask.volume, mask_name=item.mask.name, notes=notes)


def _request(item: Item, settings: Settings, *, overwrite: bool) -> Request:
    is_series, extras = bool(item.series_uid), settings.extras
    return Request(
        source=settings.root / item.source,
        out=settings.out / item.output,
        format=settings.format,
        report=settings.report and not item.is_plane,
        overwrite=overwrite,
        uncertainty=extras.uncertainty,
        untilt=extras.untilt,
        derive=extras.derive,
        deidentifier=extras.deidentifier,
        files=tuple(settings.root / path for path in item.files) if is_series else (),
    )


def _row_done(item: Item, settings: Settings, done: Conversion, card: Card) -> Row:
    def inside(path: Path | None) -> str:
        return path.relative_to(settings.out).as_posix() if path else ""

    doubts = done.synthesis.out_of_distribution
    return item.row(
        Status.DOUBTFUL if doubts else Status.DONE,
        report=inside(done.report),
        uncertainty=inside(done.uncertainty),
        derived=tuple(inside(path) for path in done.derived),
        seconds_by_step={step: round(s, 3) for step, s in done.seconds.items()},
        model=card.name,
        model_sha256=card.weights_sha256,
        qa=qa_figures(done.scan, done.synthesis),
        doubts=doubts,
        warnings=tuple(_without_roots(w, settings) for w in done.synthesis.warnings),
    )


def row_of(error: Exception, item: Item, settings: Settings) -> Row:
    """Say why an item was not done; messages that are not ours may quote a header: left out."""
    code = exit_code_of(error)
    if isinstance(error, MedcycleganError):
        status = Status.REFUSED if isinstance(error, InputRefused) else Status.FAILED
        said = _without_roots(str(error), settings).removeprefix(f"{item.source}: ")
        return item.row(status, said, code=code)
    said = f"a fault of medcyclegan: {type(error).__name__}"
    if isinstance(error, MemoryError):
        said = "not enough memory for this scan"
    elif isinstance(error, OSError):
        said = f"the system refused: {error.strerror or 'no reason given'}"
    return item.row(Status.FAILED, said, code=code)


def _without_roots(message: str, settings: Settings) -> str:
    """Make the paths in a message relative."""
    for root in (settings.out, settings.root):
        message = message.replace(f"{root}/", "")
    return message
