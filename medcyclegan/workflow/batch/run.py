"""A batch from start to end: lock, plan, work, record."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol

from filelock import FileLock, Timeout

from medcyclegan.core.task import HEAD
from medcyclegan.core.text import RESEARCH_USE, RESEARCH_USE_OF_IMAGES, counted
from medcyclegan.errors import CannotWrite, ExitCode, InputRefused, UsageError, code_of_all
from medcyclegan.io.bids import describe, is_dataset
from medcyclegan.io.naming import Format
from medcyclegan.io.targets import refusals_of
from medcyclegan.models.store import Model, find_model, load_model, shipped_models
from medcyclegan.workflow.batch.candidate import MODALITIES, Takes
from medcyclegan.workflow.batch.finding import find_candidates
from medcyclegan.workflow.batch.item import (
    STATE_FOLDER,
    Extras,
    Row,
    Settings,
    Status,
    done_in_this_run,
    make_state,
)
from medcyclegan.workflow.batch.plan import Plan, Preference, Rule, make_plan
from medcyclegan.workflow.batch.previews import thumbnail_path, write_index
from medcyclegan.workflow.batch.table import Table
from medcyclegan.workflow.batch.workers import Crew, connected, work_on
from medcyclegan.workflow.convert import Provenance
from medcyclegan.workflow.quantities import read_curve
from medcyclegan.workflow.request import suffix_of
from medcyclegan.workflow.synthesize import Options

_GOES_WITH = {
    "--untilt": "only a CT has a gantry that tilts",
    "--bias-correction": "only MR has a shading of its coils",
    "--derive": "quantities are derived from volumes in HU",
    "--uncertainty": "the map compares three views of a volume",
    "--mask": "a mask is for volumes",
    "--views 3": "three views need a volume",
}
# Of reasons why images were set aside, a message names so many.
_MOST_REASONS = 3


@dataclass(frozen=True)
class Order:
    """What to translate, where to, and how; ``model`` is a shipped one's name or a folder.

    ``suffix`` follows the names of the inputs in those of the outputs; None takes that of the
    model. With ``methods``, as ``clahe:tiles=4``, each image is enhanced first; then the model may
    be none, an empty name.
    """

    root: Path
    out: Path
    model: str = "head-mr-ct"
    rule: Rule = field(default_factory=Preference)
    options: Options = field(default_factory=Options)
    format: Format | None = None
    report: bool = False
    overwrite: bool = False
    takes: Takes = "scans"
    suffix: str | None = None
    methods: tuple[str, ...] = ()
    extras: Extras = field(default_factory=Extras)


class Watcher(Protocol):
    """Is told how a batch goes on."""

    def planned(self, plan: Plan) -> None:
        """Called once, before any work."""

    def ended(self, row: Row) -> None:
        """Called for each item that ended."""


@dataclass(frozen=True)
class Outcome:
    """The rows of all inputs, in the order of their paths; ``unit`` is that of what was made.

    ``index`` is the page over all outputs, None where no reports were asked for.
    """

    rows: tuple[Row, ...]
    unit: str = "HU"
    index: Path | None = None

    @property
    def exit_code(self) -> ExitCode:
        """SOME_REFUSED if some were refused or failed, else OUT_OF_DISTRIBUTION or DONE.

        Where none could be done: the code of what stopped them, if that is one, else INPUT_REFUSED.
        """
        found = {row.status for row in self.rows}
        if found & {Status.REFUSED, Status.FAILED}:
            if found & {Status.DONE, Status.UP_TO_DATE, Status.DOUBTFUL}:
                return ExitCode.SOME_REFUSED
            bad = [row for row in self.rows if row.status in (Status.REFUSED, Status.FAILED)]
            return code_of_all(ExitCode(row.code or ExitCode.INPUT_REFUSED) for row in bad)
        return ExitCode.OUT_OF_DISTRIBUTION if Status.DOUBTFUL in found else ExitCode.DONE


def plan_batch(order: Order, *, provenance: Provenance, threads: int = 0) -> tuple[Plan, Settings]:
    """Find the inputs and say what would be done; nothing is written.

    Raises
    ------
    InputRefused
        If the tree cannot be read or holds no images.
    CannotWrite
        If the outputs would go into the tree's own folder, or into one around it.
    ModelRefused
        If the model cannot be opened, or takes no volumes.
    """
    _refuse_around(order)
    root, out = Path(os.path.realpath(order.root)), Path(os.path.realpath(order.out))
    model = load_model(order.model) if order.model or not order.methods else None
    if model is not None:
        order = _fitting(order, model)
    settings = Settings(
        root=root,
        out=out,
        model=name_for_workers(order.model) if model else "",
        model_sha256=model.card.weights_sha256 if model else "",
        options=order.options,
        provenance=provenance,
        run=secrets.token_hex(8),
        suffix=_suffix(order, model),
        unit=model.task.target.unit if model else "a.u.",
        format=order.format,
        report=order.report,
        overwrite=order.overwrite,
        threads=threads,
        methods=order.methods,
        extras=order.extras,
    )
    modality = model.task.source.modality if model else "XR"
    part = model.task.body_part if model else HEAD
    catalogue = find_candidates(root, modality=modality, skip=out, takes=order.takes, part=part)
    plan = make_plan(catalogue, order.rule, settings)
    if not plan.rows:
        _refuse_nothing(order, plan, modality)
    return plan, settings


def name_for_workers(model: str) -> str:
    """A shipped model's name, or the whole path of a folder: what other processes find it by."""
    return model if model in shipped_models() else str(find_model(model).resolve())


def _suffix(order: Order, model: Model | None) -> str:
    if order.suffix is not None or model is None:
        return order.suffix or ""
    return suffix_of(model.card)


def _refuse_nothing(order: Order, plan: Plan, modality: str) -> NoReturn:
    if order.takes == "scans":
        raise InputRefused(
            f"{order.root} holds no {modality} to translate, nor any image of another kind",
            rule="what is looked for is DICOM, NIfTI, MetaImage and NRRD",
            remedy="name the folder that the scans are in",
        )
    others = [f"{what}: {count}" for what, count in plan.passed_over.items()]
    why = f" (passed over, {', '.join(others)})" if others else ""
    raise InputRefused(
        f"{order.root} holds no image to take{why}",
        rule="PNG, JPEG, TIFF, radiographs in DICOM"
        + ("" if order.takes == "planes" else ", and volumes in NIfTI, MetaImage or NRRD"),
        remedy="name a folder with such files, or a folder of one DICOM series",
    )


def refuse_all_set_aside(plan: Plan, order: Order) -> None:
    """Raise InputRefused if every image was set aside, with the reasons that most of them have."""
    if any(row.status is not Status.SET_ASIDE for row in plan.rows):
        return
    reasons = Counter(row.reason for row in plan.rows).most_common()
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons[:_MOST_REASONS])
    more = len(reasons) - _MOST_REASONS
    images = counted(len(plan.rows), "image")
    raise InputRefused(
        f"{order.root} holds nothing to translate: {images}, all set aside "
        f"({listed}{f'; and {more} other reasons' if more > 0 else ''})",
        rule=f"what is taken: {plan.rule}",
        remedy="rename them"
        if order.takes != "scans"
        else "see each reason with --dry-run; "
        "change --task, or name images by --select description~PATTERN",
    )


def run_batch(order: Order, crew: Crew, *, provenance: Provenance, watcher: Watcher) -> Outcome:
    """Translate all that is missing or stale; one input's failure never stops the others.

    Raises
    ------
    InputRefused, CannotWrite, ModelRefused
        As ``plan_batch``; InputRefused also if all images are set aside, CannotWrite if another
        run is at work on the folder.
    DeviceError
        If the scheduler asked for does not answer.
    """
    _refuse_around(order)
    with _held(order.out):
        plan, settings = plan_batch(order, provenance=provenance, threads=crew.threads)
        refuse_all_set_aside(plan, order)
        with refusals_of(settings.state):
            make_state(settings)
        if is_dataset(settings.root):
            describe(settings.out, raw=settings.root, version=provenance.version)
        table = Table(plan, settings)
        table.save(finished=not plan.items)
        watcher.planned(plan)
        if plan.items:
            try:
                with connected(crew) as client:
                    for row in work_on(plan.items, settings, client):
                        table.put(row)
                        watcher.ended(row)
            except BaseException:  # stopped, or without workers: what was done stands in the record
                for item in plan.items:
                    if (ended := done_in_this_run(item, settings)) is not None:
                        table.put(ended)
                table.save(finished=False)
                raise
            table.save(finished=True)
        index = _index(table, plan, settings) if order.report else None
    return Outcome(table.rows, settings.unit, index)


def _index(table: Table, plan: Plan, settings: Settings) -> Path:
    """Write the page over all outputs; those of earlier runs have their thumbnails still."""
    thumbnails = {item.output.as_posix(): thumbnail_path(item, settings) for item in plan.known}
    note = RESEARCH_USE if settings.unit == "HU" else RESEARCH_USE_OF_IMAGES
    model = Path(settings.model).name
    return write_index(table.rows, thumbnails, settings, model=model, note=note)


def _fitting(order: Order, model: Model) -> Order:
    """The order with what is looked for by the model's source; refuses options that do not go.

    Raises
    ------
    UsageError
        If something is asked for that the model's task does not have.
    """
    source, target, extras = model.task.source, model.task.target, order.extras
    is_scans = source.modality in MODALITIES
    if order.takes == "scans" and not is_scans:
        order = replace(order, takes="planes" if source.modality == "XR" else "images")
    unfit = {
        "--untilt": extras.untilt and source.modality != "CT",
        "--bias-correction": order.options.bias_correction and source.modality != "MR",
        "--derive": bool(extras.derive) and (target.unit != "HU" or not is_scans),
        "--uncertainty": extras.uncertainty and not is_scans,
        "--mask": extras.masks is not None and not is_scans,
        "--views 3": order.options.views > 1 and not is_scans,
    }
    for option, is_unfit in unfit.items():
        if is_unfit:
            raise UsageError(
                f"{option} with the model {model.card.name}, which translates "
                f"{source.modality} to {target.modality}",
                rule=_GOES_WITH[option],
                remedy="leave it out",
            )
    _refuse_unfit(order)
    return order


def _refuse_unfit(order: Order) -> None:
    """Refuse extras that go with no input, before the tree is looked through."""
    extras = order.extras
    if extras.deidentifier and order.format == "nifti":
        raise UsageError(
            "--deidentify with --format nifti",
            rule="it is for DICOM output; in a NIfTI header there may be anything",
            remedy="leave one of them out",
        )
    if extras.masks is not None and not extras.masks.is_dir():
        raise UsageError(
            f"--mask {extras.masks}",
            rule="a batch finds the mask of each patient by name in a folder",
            remedy="name the folder that the masks are in, which may be that of the scans",
        )
    for wanted in extras.derive:
        if wanted.curve is not None:
            read_curve(wanted.curve)


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Hold the lock of a folder of outputs. The system frees it when the process ends or dies."""
    state = out / STATE_FOLDER
    with refusals_of(state):
        state.mkdir(parents=True, exist_ok=True)
        lock = FileLock(state / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise CannotWrite(
                f"{out} is in use by another batch",
                rule="one batch at a time writes into a folder",
                remedy="wait until it has ended, or name another --out",
            ) from error
    try:
        yield
    finally:
        lock.release()


def _refuse_around(order: Order) -> None:
    root, out = Path(os.path.realpath(order.root)), Path(os.path.realpath(order.out))
    if out == root or out in root.parents:
        raise CannotWrite(
            f"--out {order.out} is the folder of the inputs, or around it",
            rule="outputs go into a folder apart from the inputs, or below it",
            remedy="name another folder",
        )
