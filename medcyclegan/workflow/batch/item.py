"""Items of a batch, and their records on disk, so that a run can go on.

What is kept on disk of each item, so that a run can go on where another ended.
A record is written when an output is complete, and it alone says so. A mark is written before an
item is begun and removed when it has ended: one that is left tells of a process that died.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from medcyclegan.core.text import MOST_RECORD_BYTES, path_text, read_text
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.dicom.api import Deidentifier
from medcyclegan.io.held_files import sha256_of
from medcyclegan.io.naming import SCT_SUFFIX, Format, report_path, uncertainty_path
from medcyclegan.workflow.batch.candidate import Contrast
from medcyclegan.workflow.convert import Provenance
from medcyclegan.workflow.quantities import Wanted
from medcyclegan.workflow.synthesize import Options

STATE_FOLDER = ".medcyclegan"


class Status(StrEnum):
    """How it stands with an input; ``waiting`` only while a batch runs, or if it was killed.

    ``doubtful``: done, but out-of-distribution for the model; the output is there.
    """

    WAITING = "waiting"
    DONE = "done"
    DOUBTFUL = "doubtful"
    UP_TO_DATE = "skipped-up-to-date"
    REFUSED = "refused"
    FAILED = "failed"
    SET_ASIDE = "set-aside"


class Row(BaseModel):
    """What the record of a batch says of one input; paths are relative, and there is no header.

    ``code`` is the exit code with which what stopped it ends the conversion of one image.
    Bytes of a name that are no UTF-8 are escaped, as ``path_text`` does it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator(
        "source", "series", "reason", "output", "report", "uncertainty", "mask", mode="before"
    )
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Names on disk may be no text, which neither JSON nor CSV could hold."""
        return path_text(value) if isinstance(value, str) else value

    @field_validator("warnings", "doubts", "derived", mode="before")
    @classmethod
    def _all_as_text(cls, value: Any) -> Any:
        return tuple(map(cls._as_text, value))

    source: str
    series: str = ""
    status: Status
    reason: str = ""
    code: int = 0
    contrast: Contrast = "other"
    output: str = ""
    report: str = ""
    uncertainty: str = ""
    derived: tuple[str, ...] = ()
    mask: str = ""
    seconds: float | None = None
    seconds_by_step: dict[str, float] = {}
    model: str = ""
    model_sha256: str = ""
    input_sha256: str = ""
    qa: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """An input to translate; paths are relative, to the tree of inputs and that of outputs.

    ``is_plane``: a picture or radiograph. ``mask`` is that of its patient, None for none; its path
    is whole.
    """

    source: Path
    files: tuple[Path, ...]
    series_uid: str
    series_name: str
    contrast: Contrast
    output: Path
    is_plane: bool = False
    mask: Path | None = None

    @property
    def key(self) -> str:
        """A short name of its own among the items of a batch, the same in every run."""
        return hashlib.sha256(self.output.as_posix().encode(errors="surrogateescape")).hexdigest()[
            :24
        ]

    def row(self, status: Status, reason: str = "", **facts: Any) -> Row:
        """Say how it stands with it; ``facts`` are more of the row's fields."""
        return Row(
            source=self.source.as_posix(),
            series=self.series_name,
            status=status,
            reason=reason,
            contrast=self.contrast,
            output=self.output.as_posix(),
            mask="" if self.mask is None else self.mask.name,
            **facts,
        )


@dataclass(frozen=True)
class Extras:
    """What is asked for beyond the output itself, as of one scan; see ``conversion.Request``.

    ``masks`` is a folder in which each patient's mask is found by name. ``deidentifier`` is of this
    run alone: what another run makes has other pseudonyms.
    """

    uncertainty: bool = False
    untilt: bool = False
    derive: tuple[Wanted, ...] = ()
    masks: Path | None = None
    deidentifier: Deidentifier | None = None

    def fingerprint(self) -> dict[str, str]:
        """Those that an output depends on, and only where they are asked for."""
        asked = {
            "untilt": "True" if self.untilt else "",
            "derive": " ".join(_named(one) for one in self.derive),
            "deidentify": "True" if self.deidentifier else "",
            "masks": "True" if self.masks else "",
        }
        return {name: value for name, value in asked.items() if value}


def _named(wanted: Wanted) -> str:
    """What is derived, and by which curve: its content, as a file may be changed."""
    if wanted.curve is None:
        return wanted.name
    try:
        content = wanted.curve.read_bytes()
    except OSError:
        content = b""  # reading it as a curve tells
    return f"{wanted.name}={hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Settings:
    """What holds for all items of a run; it travels to the workers.

    Parameters
    ----------
    root, out:
        The trees of inputs and outputs, absolute; every worker must see them.
    model, model_sha256:
        Name of a shipped model or a folder that every worker sees, and its weights' sha256.
    run:
        A name that no other run has.
    suffix, unit:
        What follows the input's name in that of the output, and the unit of what is made. A
        PNG holds no HU: such pictures become TIFF.
    threads:
        Cores for the network in each worker process; 0 for as many as the worker has threads.
    methods:
        What each image is enhanced by before it is translated, as the user named it. With them the
        model may be none, an empty name.
    """

    root: Path
    out: Path
    model: str
    model_sha256: str
    options: Options
    provenance: Provenance
    run: str
    suffix: str = SCT_SUFFIX
    unit: str = "HU"
    format: Format | None = None
    report: bool = False
    overwrite: bool = False
    threads: int = 0
    methods: tuple[str, ...] = ()
    extras: Extras = Extras()

    @property
    def state(self) -> Path:
        """The folder of the records."""
        return self.out / STATE_FOLDER

    def fingerprint(self) -> dict[str, str]:
        """What an output depends on beside its input: other values make it stale.

        The device is left out: the images that devices make differ by rounding alone. A map of
        uncertainty does not change the image.
        """
        chosen = {
            f.name: str(getattr(self.options, f.name))
            for f in fields(self.options)
            if f.name not in ("device", "mask", "mask_name", "notes", "uncertainty")
        }
        return {
            **chosen,
            **({"methods": " ".join(self.methods)} if self.methods else {}),
            **self.extras.fingerprint(),
            "model_sha256": self.model_sha256,
            "version": self.provenance.version,
        }


class Record(BaseModel):
    """A finished item: its row, the run, what the output depends on, and its size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    row: Row
    run: str
    fingerprint: dict[str, str]
    output_bytes: int


class Mark(BaseModel):
    """An item that was begun: by which run, for which time, on which worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: str
    tries: int
    worker: str


def hash_input(item: Item, root: Path) -> str:
    """Return the sha256 of the files of an input, its mask among them. Raises OSError."""
    return sha256_of([*(root / path for path in item.files), *([item.mask] if item.mask else [])])


def make_state(settings: Settings) -> None:
    """Make the folders that records and marks go into."""
    for name in ("records", "started"):
        (settings.state / name).mkdir(parents=True, exist_ok=True)


def write_record(item: Item, row: Row, settings: Settings) -> None:
    """Note that an output is complete.

    Raises
    ------
    FileNotFoundError
        If its file or folder is not there: it was deleted just now.
    """
    record = Record(
        row=row,
        run=settings.run,
        fingerprint=settings.fingerprint(),
        output_bytes=_bytes_of(settings.out / item.output),
    )
    with atomic_file(_record_path(item, settings), overwrite=True) as part:
        part.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def done_in_this_run(item: Item, settings: Settings) -> Row | None:
    """Return the row of an item that this run completed already, else None."""
    record = _read_record(item, settings)
    return record.row if record is not None and record.run == settings.run else None


def has_record(item: Item, settings: Settings) -> bool:
    """Whether some run completed this item, with whatever options."""
    return _record_path(item, settings).is_file()


def up_to_date(item: Item, settings: Settings) -> Row | None:
    """Return the row of an item whose output is there and would come out the same, else None."""
    record = _read_record(item, settings)
    try:
        if (
            record is None
            or record.fingerprint != settings.fingerprint()
            or record.output_bytes != _bytes_of(settings.out / item.output)
            or not _has_companions(record.row, item, settings)
            or record.row.input_sha256 != hash_input(item, settings.root)
        ):
            return None
    except OSError:
        return None  # the output is gone, or the input's fault is met when the item is done
    if record.row.status is Status.DOUBTFUL:  # it stays set apart, however often a batch is run
        return record.row
    return record.row.model_copy(update={"status": Status.UP_TO_DATE})


def _has_companions(row: Row, item: Item, settings: Settings) -> bool:
    """Whether all that is asked for beside the output is there: report, maps."""
    output = settings.out / item.output
    if settings.report and not item.is_plane and not (row.report and report_path(output).is_file()):
        return False
    if settings.extras.uncertainty and not (row.uncertainty and uncertainty_path(output).exists()):
        return False
    return all((settings.out / path).exists() for path in row.derived)


def _read_record(item: Item, settings: Settings) -> Record | None:
    try:
        text = read_text(_record_path(item, settings), most_bytes=MOST_RECORD_BYTES)
        return Record.model_validate_json(text)
    except (OSError, ValueError):
        return None  # none there, or damaged: the item is done again


def read_mark(item: Item, settings: Settings) -> Mark | None:
    """Return the mark of an item that was begun and did not end, by whatever run."""
    try:
        text = read_text(_mark_path(item, settings), most_bytes=MOST_RECORD_BYTES)
        return Mark.model_validate_json(text)
    except (OSError, ValueError):  # damage among them
        return None


def was_begun(item: Item, settings: Settings) -> bool:
    """Whether a process began this item and did not end it."""
    return _mark_path(item, settings).exists()


def write_mark(item: Item, mark: Mark, settings: Settings) -> None:
    """Note that an item is begun. Not flushed: it is for deaths of processes, not of computers."""
    _mark_path(item, settings).write_text(json.dumps(mark.model_dump()), encoding="utf-8")


def remove_mark(item: Item, settings: Settings) -> None:
    """Note that an item has ended, however it did."""
    _mark_path(item, settings).unlink(missing_ok=True)


def _record_path(item: Item, settings: Settings) -> Path:
    return settings.state / "records" / f"{item.key}.json"


def _mark_path(item: Item, settings: Settings) -> Path:
    return settings.state / "started" / f"{item.key}.json"


def _bytes_of(output: Path) -> int:
    """The size of a file or of all files in a folder; OSError if there is neither."""
    if output.is_dir():
        return sum(path.stat().st_size for path in output.iterdir())
    return output.stat().st_size
