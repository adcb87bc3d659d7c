"""From what was found to what is done: which inputs, under which names of outputs."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.finding import Catalogue
from medcyclegan.batch.item import Item, Row, Settings, Status
from medcyclegan.batch.records import has_record, up_to_date
from medcyclegan.batch.select import Rule, set_aside
from medcyclegan.io.naming import is_png, output_path
from medcyclegan.pathtext import path_text

# Hashing reads files; a few at a time keep a disk or a network share busy.
_HASHING_THREADS = 4
_DICOM = ".dcm"


@dataclass(frozen=True)
class Plan:
    """What a run has to do (``items``), and the rows of all inputs as they stand before it.

    ``labels`` has the name or description of each row's input, for the terminal.
    """

    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    passed_over: dict[str, int]
    rule: str


def make_plan(catalogue: Catalogue, rule: Rule, settings: Settings) -> Plan:
    """Choose by the rule, name the outputs, and leave out what is up to date."""
    reasons = set_aside(catalogue.candidates, rule)
    taken = [c for c, reason in reasons.items() if not reason and not c.refused]
    items = dict(zip(taken, _items(taken, settings), strict=True))
    standing = _standing(list(items.values()), settings)
    rows = []
    for candidate, reason in reasons.items():
        if candidate in items:
            rows.append(standing[items[candidate]])
            continue
        status = Status.SET_ASIDE if reason else Status.REFUSED
        rows.append(
            Row(
                source=candidate.source.as_posix(),
                series=candidate.series_name,
                status=status,
                reason=reason or candidate.refused,
                contrast=candidate.contrast,
            )
        )
    todo = tuple(item for item, row in standing.items() if row.status is Status.WAITING)
    labels = tuple(candidate.label for candidate in reasons)
    return Plan(todo, tuple(rows), labels, catalogue.passed_over, rule.says)


def _standing(items: list[Item], settings: Settings) -> dict[Item, Row]:
    """The row of each item: up to date, or waiting with the reason why it is done again."""

    def stand(item: Item) -> Row:
        if settings.overwrite:
            return item.row(Status.WAITING)
        row = up_to_date(item, settings)
        again = "input, model or options changed, or the output is gone"
        return row or item.row(Status.WAITING, again if has_record(item, settings) else "")

    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        return dict(zip(items, pool.map(stand, items), strict=True))


def _items(candidates: list[Candidate], settings: Settings) -> list[Item]:
    """Give each candidate its output: the tree mirrored, and no two of one name."""
    outputs = [_output(candidate, settings, settings.suffix) for candidate in candidates]
    times = Counter(_folded(output) for output in outputs)
    return [
        Item(
            source=candidate.source,
            files=candidate.files,
            series_uid=candidate.series_uid,
            series_name=candidate.series_name,
            contrast=candidate.contrast,
            output=output if times[_folded(output)] == 1 else _told_apart(candidate, settings),
        )
        for candidate, output in zip(candidates, outputs, strict=True)
    ]


def _output(candidate: Candidate, settings: Settings, suffix: str) -> Path:
    source, name = candidate.source, candidate.source.name or "series"
    if not candidate.series_uid:
        made = output_path(Path("/", name), out=None, format=settings.format, suffix=suffix)
        # PNG holds no numbers below 0.
        made = made.with_suffix(".tif") if settings.unit == "HU" and is_png(made) else made
        return source.with_name(made.name)
    if candidate.files == (source,):  # a radiograph, told by its file
        name = name[: -len(_DICOM)] if name.lower().endswith(_DICOM) else name
    stem = f"{name}_{candidate.series_name}" if candidate.series_name else name
    ending = ".nii.gz" if settings.format == "nifti" else ""
    named = f"{stem}{suffix}{ending}"
    return source.with_name(named) if source.name else Path(named)


def _folded(path: Path) -> str:
    """As file systems compare that do not tell capitals from small letters, and as records do."""
    return path_text(path).casefold()


def _told_apart(candidate: Candidate, settings: Settings) -> Path:
    """Put eight digits of a hash of the input's path and series into the name."""
    text = f"{candidate.source.as_posix()}\n{candidate.series_uid}"
    digits = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
    return _output(candidate, settings, f"_{digits}{settings.suffix}")
