"""``medcyclegan batch``, and folders given to the commands for one image."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.batch_view import BatchView, printable, show_plan
from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.conversions import derive_option, untilt_option
from medcyclegan.cli.paths import check_model
from medcyclegan.errors import ModelRefused, UsageError
from medcyclegan.io.discover import refuse_no_tree

if TYPE_CHECKING:
    from medcyclegan.workflow.batch.item import Row
    from medcyclegan.workflow.batch.plan import Plan
    from medcyclegan.workflow.batch.run import Order, Outcome

# Of those set aside, so many are named one by one.
_MOST_NAMED = 20
_FOR_ONE = ("mask", "uncertainty", "deidentify", "show_patient", "untilt", "derive")


class FolderView(BatchView):
    """Shows a run over a folder of images: first what of it is not taken, and why.

    A warning that many images share is told at the first, and counted.
    """

    def __init__(self, voice: Voice, *, note: str) -> None:
        super().__init__(voice, noun="images", note=note)
        self._told: Counter[str] = Counter()

    def planned(self, plan: Plan) -> None:
        """Name what is set aside, count what is passed over, and begin the bar."""
        from medcyclegan.workflow.batch.item import Status

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
                remedy="leave it out, name one image, or take medcyclegan batch",
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
    from medcyclegan.cli.conversions import default_provenance
    from medcyclegan.workflow.batch.run import run_batch
    from medcyclegan.workflow.batch.workers import Crew

    view = FolderView(voice, note=note)
    with view:
        outcome = run_batch(order, Crew(), provenance=default_provenance(), watcher=view)
    view.sum_up()
    if not voice.json:
        view.summarise(outcome, order.out)
    return outcome


def end(voice: Voice, outcome: Outcome, order: Order, **facts: object) -> None:
    """Print the summary as JSON if asked for; end the process with the outcome's code, if any."""
    from medcyclegan.workflow.batch.table import CSV_NAME, JSON_NAME, counts

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
        if outcome.index is not None:
            summary["index"] = str(outcome.index)
        click.echo(json.dumps(summary | facts, indent=2))
    if outcome.exit_code:
        sys.exit(outcome.exit_code)


if TYPE_CHECKING:
    from medcyclegan.workflow.batch.item import Extras
    from medcyclegan.workflow.batch.run import Order

# The model and the rule of selection that are taken for a task if none is named.
DEFAULTS = {
    "mr-ct": ("head-mr-ct", "auto"),
    "ct-mr": ("head-ct-mr", "auto"),
    "ct-denoise": ("ct-denoise", "all"),
    "t1-t2": ("head-t1-t2", "T1w"),
    "t2-t1": ("head-t2-t1", "T2w"),
    "xray": ("", "all"),
    "pictures": ("", "all"),
}

# Modalities of source and target, by which a model of one's own fits a task.
SIDES = {
    "mr-ct": ("MR", "CT"),
    "ct-mr": ("CT", "MR"),
    "ct-denoise": ("CT", "CT"),
    "t1-t2": ("MR", "MR"),
    "t2-t1": ("MR", "MR"),
    "xray": ("XR", "any"),
    "pictures": ("image", "any"),
}

EXAMPLES = """\b
Examples:
  medcyclegan batch patients/ --out sct/ --dry-run
  medcyclegan batch patients/ --out sct/ --workers 4 --report --derive mu511
  medcyclegan batch patients/ --out sct/ --select T2w,T1w --scheduler tcp://10.0.0.1:8786
  medcyclegan batch slices/ --out looks/ --model my_look/
"""


@click.command("batch", epilog=EXAMPLES)
@click.argument("patients", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of outputs.")
@click.option(
    "--task",
    type=click.Choice(sorted(DEFAULTS)),
    default="mr-ct",
    show_default=True,
    help="What is turned into what; xray and pictures by a --model of your own.",
)
@click.option("--model", help="Name of a shipped model, or a folder. Default: that of the task.")
@click.option(
    "--format", "format_", type=click.Choice(["nifti", "dicom"]), help="Default: as the input."
)
@click.option(
    "--select", "rule", metavar="RULE",
    help="auto, all, contrasts by preference as T2w,T1w, or description~PATTERN. Default: auto; "
    "the contrast to start from for t1-t2 and t2-t1, all for ct-denoise.",
)  # fmt: skip
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)
@click.option(
    "--views", type=click.Choice(["1", "3"]), default="1", show_default=True,
    help="Slab orientations; with 3 the median of the three is taken.",
)  # fmt: skip
@click.option("--bias-correction", is_flag=True, help="Correct the shading first (N4).")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True,
    help="Processes on this computer; the cores are shared out among them.",
)  # fmt: skip
@click.option("--scheduler", default="", metavar="ADDRESS", help="A running dask cluster's.")
@click.option(
    "--mask", "masks", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Folder in which each patient's mask lies, by name: that of p1/t1.nii.gz is "
    "p1/t1_mask.nii.gz. It may be that of the patients.",
)  # fmt: skip
@click.option("--uncertainty", is_flag=True, help="Write a map of the error to expect beside each.")
@click.option("--deidentify", is_flag=True, help="DICOM outputs tell nothing of their patients.")
@untilt_option
@derive_option
@click.option(
    "--report", is_flag=True,
    help="Write an HTML page beside each output, and index.html over all of them.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Do all again, and replace what is there.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and why what not.")
@voice_options
def batch(*, voice: Voice, patients: Path, task: str, dry_run: bool, **flags: Any) -> None:
    """Translate all patients of a folder: NIfTI, BIDS, DICOM of any nesting, mixed.

    With a model of radiographs or pictures, all of these.

    Run again, it does only what is missing or stale.
    """
    refuse_no_tree(patients)
    check_model(flags["model"])
    from medcyclegan.cli.conversions import default_provenance
    from medcyclegan.workflow.batch.foresight import foreseen
    from medcyclegan.workflow.batch.run import plan_batch, refuse_all_set_aside, run_batch
    from medcyclegan.workflow.batch.workers import Crew

    crew = Crew(workers=flags["workers"], scheduler=flags["scheduler"])
    order = _order(patients, task, flags)
    if dry_run:
        plan, settings = plan_batch(order, provenance=default_provenance())
        show_plan(voice, foreseen(plan, settings))
        refuse_all_set_aside(plan, order)
        return
    view = BatchView(voice)
    with view:
        outcome = run_batch(order, crew, provenance=default_provenance(), watcher=view)
    view.summarise(outcome, order.out)
    if outcome.exit_code:
        sys.exit(outcome.exit_code)


def _order(patients: Path, task: str, flags: dict[str, Any]) -> Order:
    from medcyclegan.cli.conversions import options_of
    from medcyclegan.workflow.batch.plan import parse_rule
    from medcyclegan.workflow.batch.run import Order

    usual_model, usual_rule = DEFAULTS[task]
    if not flags["model"] and not usual_model:
        raise UsageError(
            f"--task {task} without --model",
            rule="no model of it ships with medcyclegan",
            remedy="train one, and name its folder with --model",
        )
    rule = parse_rule(flags["rule"] or usual_rule)
    model = flags["model"] or usual_model
    if flags["model"] and _is_of_volumes(model, task) is False and not flags["rule"]:
        rule = parse_rule("all")
    return Order(
        root=patients,
        out=flags["out"],
        model=model,
        rule=rule,
        options=options_of(flags),
        format=flags["format_"],
        report=flags["report"],
        overwrite=flags["overwrite"],
        extras=_extras(flags),
    )


def _extras(flags: dict[str, Any]) -> Extras:
    from medcyclegan.cli.conversions import new_deidentifier, wanted_of
    from medcyclegan.workflow.batch.item import Extras

    masks, deidentify = flags["masks"], flags["deidentify"]
    return Extras(
        uncertainty=flags["uncertainty"],
        untilt=flags["untilt"],
        derive=wanted_of(flags),
        masks=None if masks is None else masks.absolute(),
        deidentifier=new_deidentifier() if deidentify else None,
    )


def _is_of_volumes(model: str, task: str) -> bool:
    """Whether a model takes volumes; refuses one of other modalities than the task's."""
    from medcyclegan.models.store import find_model, read_card

    made_for = read_card(find_model(model)).task
    sides = (made_for.source.modality, made_for.target.modality)
    if sides[0] not in ("MR", "CT") and SIDES[task][0] in ("MR", "CT", sides[0]):
        return False  # the task is told by the model
    if sides == SIDES[task]:
        return True
    fitting = [f"--task {name}" for name, known in SIDES.items() if known == sides]
    raise ModelRefused(
        f"The model {model} translates {sides[0]} to {sides[1]}",
        rule=f"--task {task} is {SIDES[task][0]} to {SIDES[task][1]}",
        remedy=f"give {' or '.join(fitting)}" if fitting else "name another --model",
    )
