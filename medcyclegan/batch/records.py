"""What is kept on disk of each item, so that a run can go on where another ended.

A record is written when an output is complete, and it alone says so. A mark is written before an
item is begun and removed when it has ended: one that is left tells of a process that died.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from medcyclegan.batch.item import Item, Row, Settings, Status
from medcyclegan.bounded_text import MOST_RECORD_BYTES, read_text
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.naming import report_path

_CHUNK_BYTES = 2**20


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
    """Return the sha256 of a single file, or of the sorted sha256 of all files of an input."""
    each = sorted(_hash_file(root / path) for path in item.files)
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


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
            or (settings.report and not _has_report(record.row, item, settings))
            or record.row.input_sha256 != hash_input(item, settings.root)
        ):
            return None
    except OSError:
        return None  # the output is gone, or the input's fault is met when the item is done
    if record.row.status is Status.DOUBTFUL:  # it stays set apart, however often a batch is run
        return record.row
    return record.row.model_copy(update={"status": Status.UP_TO_DATE})


def _has_report(row: Row, item: Item, settings: Settings) -> bool:
    return bool(row.report) and report_path(settings.out / item.output).is_file()


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
