"""``medcyclegan batch``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.batch_view import BatchView, show_plan
from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.errors import ModelRefused

if TYPE_CHECKING:
    from medcyclegan.batch.run import Order

# The model and the rule of selection that are taken for a task if none is named.
DEFAULTS = {
    "mr-ct": ("head-mr-ct", "auto"),
    "ct-mr": ("head-ct-mr", "auto"),
    "ct-denoise": ("ct-denoise", "all"),
    "t1-t2": ("head-t1-t2", "T1w"),
    "t2-t1": ("head-t2-t1", "T2w"),
}

# Modalities of source and target, by which a model of one's own fits a task.
SIDES = {
    "mr-ct": ("MR", "CT"),
    "ct-mr": ("CT", "MR"),
    "ct-denoise": ("CT", "CT"),
    "t1-t2": ("MR", "MR"),
    "t2-t1": ("MR", "MR"),
}

EXAMPLES = """\b
Examples:
  medcyclegan batch patients/ --out sct/ --dry-run
  medcyclegan batch patients/ --out sct/ --workers 4
  medcyclegan batch patients/ --out sct/ --select T2w,T1w --scheduler tcp://10.0.0.1:8786
"""


@click.command("batch", epilog=EXAMPLES)
@click.argument("patients", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of outputs.")
@click.option(
    "--task",
    type=click.Choice(sorted(DEFAULTS)),
    default="mr-ct",
    show_default=True,
    help="What is turned into what.",
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
@click.option("--report", is_flag=True, help="Write an HTML page beside each output.")
@click.option("--overwrite", is_flag=True, help="Do all again, and replace what is there.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and why what not.")
@voice_options
def batch(*, voice: Voice, patients: Path, task: str, dry_run: bool, **flags: Any) -> None:
    """Translate all patients of a folder: NIfTI, BIDS, DICOM of any nesting, mixed.

    Run again, it does only what is missing or stale.
    """
    from medcyclegan.batch.cluster import Crew
    from medcyclegan.batch.run import plan_batch, refuse_all_set_aside, run_batch
    from medcyclegan.cli.conversions import default_maker

    crew = Crew(workers=flags["workers"], scheduler=flags["scheduler"])
    order = _order(patients, task, flags)
    if dry_run:
        plan, _ = plan_batch(order, maker=default_maker())
        show_plan(voice, plan)
        refuse_all_set_aside(plan, order)
        return
    view = BatchView(voice)
    with view:
        outcome = run_batch(order, crew, maker=default_maker(), watcher=view)
    view.summarise(outcome, order.out)
    if outcome.exit_code:
        sys.exit(outcome.exit_code)


def _order(patients: Path, task: str, flags: dict[str, Any]) -> Order:
    from medcyclegan.batch.run import Order
    from medcyclegan.batch.select import parse_rule
    from medcyclegan.cli.conversions import options_of

    usual_model, usual_rule = DEFAULTS[task]
    rule = parse_rule(flags["rule"] or usual_rule)
    model = flags["model"] or usual_model
    if flags["model"]:
        _refuse_other_task(model, task)
    return Order(
        root=patients,
        out=flags["out"],
        model=model,
        rule=rule,
        options=options_of(flags),
        format=flags["format_"],
        report=flags["report"],
        overwrite=flags["overwrite"],
    )


def _refuse_other_task(model: str, task: str) -> None:
    """Refuse a model of other modalities than the task's; that it takes volumes is seen later."""
    from medcyclegan.models.store import find_model, read_card

    made_for = read_card(find_model(model)).task
    sides = (made_for.source.modality, made_for.target.modality)
    if sides == SIDES[task] or sides[0] not in ("MR", "CT"):
        return
    fitting = [f"--task {name}" for name, known in SIDES.items() if known == sides]
    raise ModelRefused(
        f"The model {model} translates {sides[0]} to {sides[1]}",
        rule=f"--task {task} is {SIDES[task][0]} to {SIDES[task][1]}",
        remedy=f"give {' or '.join(fitting)}" if fitting else "name another --model",
    )
