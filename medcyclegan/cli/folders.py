"""Folders of images: what the commands for one image do with all of a folder, as a batch."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.batch_view import BatchView, printable
from medcyclegan.cli.common import Voice
from medcyclegan.errors import UsageError

if TYPE_CHECKING:
    from medcyclegan.batch.item import Row
    from medcyclegan.batch.plan import Plan
    from medcyclegan.batch.run import Order, Outcome

# Of those set aside, so many are named one by one.
_MOST_NAMED = 20
_FOR_ONE = ("mask", "uncertainty", "deidentify", "show_patient", "untilt")


class FolderView(BatchView):
    """Shows a run over a folder of images: first what of it is not taken, and why.

    A warning that many images share is told at the first, and counted.
    """

    def __init__(self, voice: Voice, *, note: str) -> None:
        super().__init__(voice, noun="images", note=note)
        self._told: Counter[str] = Counter()

    def planned(self, plan: Plan) -> None:
        """Name what is set aside, count what is passed over, and begin the bar."""
        from medcyclegan.batch.item import Status

        aside = [row for row in plan.rows if row.status is Status.SET_ASIDE]
        for row in aside[:_MOST_NAMED]:
            self._voice.warn(f"{printable(row.source)}: set aside: {row.reason}")
        if len(aside) > _MOST_NAMED:
            self._voice.warn(f"{len(aside) - _MOST_NAMED} more were set aside; see the record")
        for what, count in plan.passed_over.items():
            self._voice.warn(f"Passed over, {what}: {count}")
        for row in plan.rows:
            if row.status is Status.REFUSED:
                self._voice.warn(f"{printable(row.source)}: refused: {row.reason}")
        self.begin(len(plan.items))

    def warn_of(self, row: Row, warning: str) -> None:
        """Tell of it at the first image that it is about."""
        self._told[warning] += 1
        if self._told[warning] == 1:
            super().warn_of(row, warning)

    def sum_up(self) -> None:
        """Tell how many more images each warning is about."""
        for warning, times in self._told.items():
            if times > 1:
                self._voice.warn(f"{times} images in all: {printable(warning)}")


def refuse_for_one(source: Path, flags: dict[str, Any]) -> None:
    """Raise UsageError for an option that is for one image, or an output that is no folder."""
    from medcyclegan.io.naming import is_folder

    for name in _FOR_ONE:
        if flags.get(name):
            raise UsageError(
                f"--{name.replace('_', '-')} with the folder of images {source}",
                rule="it is for one image at a time",
                remedy="leave it out, or name one image",
            )
    out = flags["out"]
    if out is not None and not is_folder(out) and not out.is_dir():
        raise UsageError(
            f"--out {out} for the folder of images {source}",
            rule="the outputs of a folder go into a folder",
            remedy="name a folder",
        )


def run_folder(voice: Voice, order: Order, *, note: str) -> Outcome:
    """Do all images of a folder, telling of each that was not done or not as it should be."""
    from medcyclegan.batch.cluster import Crew
    from medcyclegan.batch.run import run_batch
    from medcyclegan.cli.conversions import default_maker

    view = FolderView(voice, note=note)
    with view:
        outcome = run_batch(order, Crew(), maker=default_maker(), watcher=view)
    view.sum_up()
    if not voice.json:
        view.summarise(outcome, order.out)
    return outcome


def end(voice: Voice, outcome: Outcome, order: Order, **facts: object) -> None:
    """Print the summary as JSON if asked for; end the process with the outcome's code, if any."""
    from medcyclegan.batch.table import CSV_NAME, JSON_NAME, counts

    if voice.json:
        made = [row for row in outcome.rows if row.output and row.model_sha256 + row.input_sha256]
        summary = {
            "exit_code": int(outcome.exit_code),
            "counts": counts(outcome.rows),
            "written": [str(order.out / row.output) for row in made],
            "refused": [
                str(order.root / row.source)
                for row in outcome.rows
                if row.status in ("refused", "failed")
            ],
            "record": str(order.out / JSON_NAME),
            "table": str(order.out / CSV_NAME),
        }
        click.echo(json.dumps(summary | facts, indent=2))
    if outcome.exit_code:
        sys.exit(outcome.exit_code)
