"""The record of a batch, ``batch.json`` and ``batch.csv``: a row an input, current at any time."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from pathlib import Path

from medcyclegan.io.atomic import atomic_file
from medcyclegan.workflow.batch.item import Row, Settings, Status
from medcyclegan.workflow.batch.plan import Plan

JSON_NAME, CSV_NAME = "batch.json", "batch.csv"
# Saved at most this often, and so that saving takes no more than this share of the time.
_SAVE_EVERY_S = 2.0
_MOST_SHARE = 0.01
_TOLD_LAST = ("qa", "seconds_by_step", "warnings", "doubts", "derived")


class Table:
    """All rows of a batch, saved now and then while it runs."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._settings = settings
        self._plan = plan
        self._rows = list(plan.rows)
        self._place = {row.output: n for n, row in enumerate(self._rows) if row.output}
        self._next_save_s = 0.0

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they stand."""
        return tuple(self._rows)

    def put(self, row: Row) -> None:
        """Enter how an item ended, and save if it is time to."""
        self._rows[self._place[row.output]] = row
        if time.monotonic() >= self._next_save_s:
            self.save(finished=False)

    def save(self, *, finished: bool) -> None:
        """Write both files, each in one step; raises CannotWrite."""
        started = time.monotonic()
        _write(self._settings.out / JSON_NAME, self._json(finished))
        _write(self._settings.out / CSV_NAME, _csv(self._rows))
        took_s = time.monotonic() - started
        self._next_save_s = time.monotonic() + max(_SAVE_EVERY_S, took_s / _MOST_SHARE)

    def _json(self, finished: bool) -> str:
        settings, plan = self._settings, self._plan
        facts = {
            "version": settings.provenance.version,
            "finished": finished,
            "model": Path(settings.model).name,
            "unit": settings.unit,
            "rule": plan.rule,
            "options": settings.fingerprint(),
            "counts": counts(self._rows),
            "with_warnings": warned(self._rows),
            "passed_over": plan.passed_over,
            "rows": [row.model_dump(mode="json") for row in self._rows],
        }
        return json.dumps(facts, indent=1) + "\n"


def counts(rows: list[Row] | tuple[Row, ...]) -> dict[str, int]:
    """How many rows there are of each status, in the order of the statuses."""
    found = Counter(row.status for row in rows)
    return {status.value: found[status] for status in Status if found[status]}


def warned(rows: list[Row] | tuple[Row, ...]) -> int:
    """How many inputs have an output that something was warned of; doubts are warnings, too."""
    return sum(bool(row.warnings) for row in rows)


def counts_said(rows: list[Row] | tuple[Row, ...]) -> str:
    """The counts in words, with how many of each status were warned of."""
    parts = []
    for status, count in counts(rows).items():
        with_warnings = warned([row for row in rows if row.status == status])
        said = f" ({with_warnings} with warnings)" if with_warnings else ""
        parts.append(f"{count} {status}{said}")
    return ", ".join(parts)


def _write(path: Path, text: str) -> None:
    # Names on disk that are no valid text are written with escapes.
    with atomic_file(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def _csv(rows: list[Row]) -> str:
    """One line a row; the QA figures have a column each, and steps are left to the JSON."""
    figures = list(dict.fromkeys(name for row in rows for name in row.qa))
    plain = [name for name in Row.model_fields if name not in _TOLD_LAST]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *figures, "derived", "doubts", "warnings"])
    for row in rows:
        values = row.model_dump(mode="json")
        cells = [values[name] for name in plain] + [row.qa.get(name) for name in figures]
        said = (row.derived, row.doubts, row.warnings)
        writer.writerow([*cells, *(" ".join(each) for each in said)])
    return text.getvalue()
