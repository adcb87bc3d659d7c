"""One item from input to record: what a worker does."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext

from distributed import get_worker

from medcyclegan.batch.item import Item, Row, Settings, Status
from medcyclegan.batch.qa import qa_figures
from medcyclegan.batch.records import (
    Mark,
    done_in_this_run,
    has_record,
    hash_input,
    read_mark,
    remove_mark,
    was_begun,
    write_mark,
    write_record,
)
from medcyclegan.batch.station import Station, station
from medcyclegan.conversion import Conversion, Request, finish, open_scan
from medcyclegan.enhanced_files.files import enhance_file
from medcyclegan.enhanced_files.recipe import Recipe
from medcyclegan.enhancement.methods import parse_step
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.models.card import Card
from medcyclegan.synthesis import synthesize

# An input that was begun twice and ended neither time is given up.
MOST_TRIES = 2
DIED = "the worker process died while it had this input in hand"

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
        return item.row(Status.FAILED, f"{DIED}, twice")
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
        row = _row_of(error, item, settings)
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
    model, maker = place.model, settings.maker
    assert model is not None  # an order without one has methods
    is_shared = item.series_uid or settings.format == "dicom" or settings.report
    files = place.files if is_shared else nullcontext()
    with files:
        digest = hash_input(item, settings.root)
        opened = open_scan(request, model, maker=maker)
    result = synthesize(opened.scan, model, options=settings.options, turn=place.network)
    with files:
        done = finish(opened, result, model, maker=maker)
    return digest, _row_done(item, settings, done, model.card)


def _enhance(item: Item, settings: Settings, place: Station, request: Request) -> tuple[str, Row]:
    """As ``_translate``, with the steps of enhancement before; one image at a time."""
    steps = tuple(parse_step(method) for method in settings.methods)
    recipe = Recipe(settings.methods, steps, place.model)
    to, overwrite = settings.out / item.output, request.overwrite
    with place.network, place.files:
        digest = hash_input(item, settings.root)
        done = enhance_file(
            request.source, recipe, to=to, maker=settings.maker, overwrite=overwrite
        )
    card = place.model.card if place.model else None
    return digest, item.row(
        Status.DONE,
        model=card.name if card else "",
        model_sha256=card.weights_sha256 if card else "",
        warnings=tuple(_without_roots(w, settings) for w in done.warnings),
    )


def _request(item: Item, settings: Settings, *, overwrite: bool) -> Request:
    is_series = bool(item.series_uid)
    return Request(
        source=settings.root / item.source,
        out=settings.out / item.output,
        format=settings.format,
        report=settings.report,
        overwrite=overwrite,
        files=tuple(settings.root / path for path in item.files) if is_series else (),
    )


def _row_done(item: Item, settings: Settings, done: Conversion, card: Card) -> Row:
    report = done.report.relative_to(settings.out).as_posix() if done.report else ""
    doubts = done.synthesis.doubts
    return item.row(
        Status.DOUBTFUL if doubts else Status.DONE,
        report=report,
        seconds_by_step={step: round(s, 3) for step, s in done.seconds.items()},
        model=card.name,
        model_sha256=card.weights_sha256,
        qa=qa_figures(done.scan, done.synthesis),
        doubts=doubts,
        warnings=tuple(_without_roots(w, settings) for w in done.synthesis.warnings),
    )


def _row_of(error: Exception, item: Item, settings: Settings) -> Row:
    """Say why an item was not done; messages that are not ours may quote a header: left out."""
    if isinstance(error, MedcycleganError):
        status = Status.REFUSED if isinstance(error, InputRefused) else Status.FAILED
        said = _without_roots(str(error), settings)
        return item.row(status, said.removeprefix(f"{item.source}: "))
    if isinstance(error, MemoryError):
        return item.row(Status.FAILED, "not enough memory for this scan")
    if isinstance(error, OSError):
        return item.row(Status.FAILED, f"the system refused: {error.strerror or 'no reason given'}")
    return item.row(Status.FAILED, f"a fault of medcyclegan: {type(error).__name__}")


def _without_roots(message: str, settings: Settings) -> str:
    """Make the paths in a message relative."""
    for root in (settings.out, settings.root):
        message = message.replace(f"{root}/", "")
    return message
