"""What ``medcyclegan batch`` shows: the plan, a live bar over patients, the table at the end."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import ProgressLines, Voice
from medcyclegan.core.text import RESEARCH_USE, RESEARCH_USE_OF_IMAGES

if TYPE_CHECKING:
    from rich.table import Table

    from medcyclegan.workflow.batch.item import Row
    from medcyclegan.workflow.batch.plan import Plan
    from medcyclegan.workflow.batch.run import Outcome

# Longer tables do not help on a screen; the files have all of it.
_MOST_ROWS_SHOWN = 60
_WIDTH_IN_FILES = 160


def show_plan(voice: Voice, plan: Plan) -> None:
    """Print what would be done with each input, and why what not."""
    from medcyclegan.workflow.batch.table import counts, counts_said

    if voice.json:
        rows = [row.model_dump(mode="json") for row in plan.rows]
        facts = {"rule": plan.rule, "counts": counts(plan.rows), "passed_over": plan.passed_over}
        click.echo(json.dumps({**facts, "rows": rows}, indent=2))
        return
    table = _table("input", "description", "contrast", "what", "output, or why not")
    words = {
        "waiting": "to do",
        "skipped-up-to-date": "up to date",
        "doubtful": "up to date, doubtful",
    }
    for row, label in zip(plan.rows, plan.labels, strict=True):
        is_taken = row.status in words
        last = " ".join(
            part for part in (row.output, f"({row.reason})" if row.reason else "") if part
        )
        shown = last if is_taken else row.reason
        _add(table, _name(row), label, row.contrast, words.get(row.status, row.status), shown)
    _print(voice, table)
    voice.say(f"Rule      {plan.rule}")
    if plan.passed_over:
        voice.say(f"Passed over  {_passed_over(plan)}")
    voice.say(f"Counts    {counts_said(plan.rows)}")


def _passed_over(plan: Plan) -> str:
    return ", ".join(f"{n} {what}" for what, n in plan.passed_over.items())


class BatchView:
    """Shows a batch while it runs; leaving its context takes the bar away.

    ``noun`` is what is counted beside the bar, ``note`` the last line if it is not to follow from
    what was made.
    """

    def __init__(self, voice: Voice, *, noun: str = "patients", note: str = "") -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        silent = voice.level < 0 or voice.json
        quiet = silent or not console.is_terminal
        self._lines = ProgressLines("At work") if quiet and not silent else None
        self._ended = self._total = 0
        self._voice, self._note = voice, note
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn(noun), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            console=console, disable=quiet, transient=True,
        )  # fmt: skip
        self._task: Any = None

    def __enter__(self) -> BatchView:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def planned(self, plan: Plan) -> None:
        """Say the rule and how much there is to do."""
        from medcyclegan.workflow.batch.table import counts_said

        self._voice.say(f"Rule    {plan.rule}")
        self._voice.say(f"Inputs  {counts_said(plan.rows)}")
        if plan.passed_over:
            self._voice.say(f"Passed over  {_passed_over(plan)}")
        for row in plan.rows:
            if row.status == "refused":
                self._tell(row)
        self.begin(len(plan.items))

    def begin(self, total: int) -> None:
        """Show the bar of so many inputs."""
        self._task, self._total = self._bar.add_task("At work", total=total), total

    def ended(self, row: Row) -> None:
        """Move the bar on; tell of an input that was not done, and of every warning."""
        self._bar.advance(self._task)
        self._ended += 1
        if self._lines is not None:
            self._lines(self._ended, self._total)
        self._tell(row)

    def _tell(self, row: Row) -> None:
        name = printable(_name(row))
        if row.status in ("refused", "failed"):
            self._voice.warn(f"{name}: {row.status}: {printable(row.reason)}")
        if row.status == "doubtful":
            self._voice.warn(f"{name}: not to be trusted: {row.doubts[0]}")
        for warning in row.warnings:
            if warning not in row.doubts[:1]:
                self.warn_of(row, warning)

    def warn_of(self, row: Row, warning: str) -> None:
        """Tell of something about an input that was done."""
        self._voice.warn(f"{printable(_name(row))}: {printable(warning)}")

    def summarise(self, outcome: Outcome, out: Path) -> None:
        """Print the table of all inputs, the longest lists cut, and where the record is."""
        from medcyclegan.workflow.batch.table import (
            CSV_NAME,
            JSON_NAME,
            counts,
            counts_said,
            warned,
        )

        rows = outcome.rows
        note = self._note or (RESEARCH_USE if outcome.unit == "HU" else RESEARCH_USE_OF_IMAGES)
        if self._voice.json:
            facts = {
                "exit_code": int(outcome.exit_code),
                "counts": counts(rows),
                "with_warnings": warned(rows),
            }
            paths = {"record": str(out / JSON_NAME), "table": str(out / CSV_NAME)}
            if outcome.index is not None:
                paths["index"] = str(outcome.index)
            click.echo(json.dumps({**facts, **paths, "note": note}, indent=2))
            return
        _print(self._voice, _result_table(rows))
        self._voice.say(f"Inputs  {counts_said(rows)}")
        self._voice.say(f"Record  {out / JSON_NAME}, {out / CSV_NAME}")
        if outcome.index is not None:
            self._voice.say(f"Index   {outcome.index}")
        self._voice.say(note)


def _name(row: Row) -> str:
    """The path, and which series where the folder holds several."""
    return f"{row.source} {row.series}" if row.series else row.source


def _result_table(rows: tuple[Row, ...]) -> Table:
    """A line an input: not done, out-of-distribution, warned of, then others if there is room."""
    bad = [row for row in rows if row.status in ("refused", "failed")]
    doubtful = [row for row in rows if row.status == "doubtful"]
    good = [row for row in rows if row.status in ("done", "skipped-up-to-date")]
    good.sort(key=lambda row: not row.warnings)
    shown = [*bad, *doubtful, *good][:_MOST_ROWS_SHOWN]
    table = _table("input", "status", "s", "warnings", "output, or why not")
    for row in shown:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        warnings = str(len(row.warnings) or "")
        last = row.reason if row in bad else row.output
        _add(table, _name(row), row.status, seconds, warnings, last)
    left = len(bad) + len(doubtful) + len(good) - len(shown)
    if left:
        _add(table, f"and {left} more", "", "", "", "see the record")
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(printable(cell)) for cell in cells))


def _print(voice: Voice, table: Table) -> None:
    from rich.console import Console

    if voice.level >= 0 and not voice.json:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDTH_IN_FILES
        console.print(table)


def printable(text: str) -> str:
    """Names on disk may be no valid text, or hold what moves a terminal's cursor."""
    kept = "".join(c if c.isprintable() else "?" for c in text)
    return kept.encode("utf-8", "replace").decode()
