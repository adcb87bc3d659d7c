"""``medcyclegan train``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options

if TYPE_CHECKING:
    from medcyclegan.training.config import TrainConfig
    from medcyclegan.training.data.folders import Folders
    from medcyclegan.training.loop import Job, OnStep

EXAMPLES = """\b
Examples:
  medcyclegan train mr_ct --data-a mr/ --data-b ct/ --check
  medcyclegan train mr_ct --data-a mr/ --data-b ct/ --out run/ steps=5000 losses.cycle=20
  medcyclegan train mr_ct --out run/ --resume
  torchrun --nproc-per-node 2 -m medcyclegan train mr_ct --data-a mr/ --data-b ct/ batch_size=2
"""

FOLDER = click.Path(path_type=Path)
# Lines of progress in all where no bar can be shown.
LINES = 20


@click.command("train", epilog=EXAMPLES)
@click.argument("config")
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", type=FOLDER, help="Folder (SynthRAD, nnU-Net, BIDS) or CSV of both sides.")
@click.option("--data-a", type=FOLDER, help="Folder of images of side A, at any depth.")
@click.option("--data-b", type=FOLDER, help="Folder of images of side B.")
@click.option("--validation-a", type=FOLDER, help="Held-back images of side A.")
@click.option("--validation-b", type=FOLDER, help="Held-back images of side B.")
@click.option("--out", type=FOLDER, help="Run folder. Default: runs/<name of the configuration>.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the run folder.")
@click.option("--check", is_flag=True, help="Read all data, say what was found, and stop.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the networks run.",
)
@voice_options
def train(*, voice: Voice, config: str, changes: tuple[str, ...], **given: Any) -> None:
    """Train a translation between two kinds of images; pairs are not needed.

    CONFIG is the name of a shipped configuration (see: medcyclegan config list) or a YAML file;
    KEY=VALUE changes one of its settings, as losses.cycle=20.
    """
    from medcyclegan import __version__
    from medcyclegan.training.config import TrainConfig
    from medcyclegan.training.parallel import joined_crew
    from medcyclegan.training.run_folder import RunFolder
    from medcyclegan.training.settings import read_settings
    from medcyclegan.training.shipped import find_config
    from medcyclegan.training.start import Request, prepare_job
    from medcyclegan.translator import choose_device

    settings = read_settings(find_config(config), TrainConfig, changes=changes)
    if settings.start is not None and settings.start.steps >= settings.steps:
        voice.warn(
            f"all {settings.steps} steps are the start (start.steps={settings.start.steps}): the "
            "losses that are to follow it never do"
        )
    folder = RunFolder(given["out"] or Path("runs") / settings.name)
    folders, device = _folders(given, folder), choose_device(given["device"])
    if given["check"]:
        _check(voice, settings, folders)
        return
    request = Request(settings, folders, folder, given["resume"])
    with joined_crew() as crew:
        voice = voice if crew.leads else replace(voice, level=-1, json=False)
        with voice.progress("Reading the data") as progress:
            job = prepare_job(
                request, device=device, crew=crew, version=__version__, progress=progress
            )
        for warning in job.data.summary.warnings if crew.leads else ():
            voice.warn(warning)
        _run(voice, job, resume=request.resume)


def _folders(given: Mapping[str, Any], folder: Any) -> Folders:
    """The folders from the options, or with ``--resume`` those that the run began with."""
    from medcyclegan.errors import UsageError
    from medcyclegan.training.about import folders_of
    from medcyclegan.training.data.folders import Folders
    from medcyclegan.training.run_folder import read_run

    both, a, b = given["data"], given["data_a"], given["data_b"]
    if both and (a or b):
        raise UsageError("--data with --data-a or --data-b", remedy="give one or the other")
    if both or (a and b):
        return Folders(both or a, both or b, given["validation_a"], given["validation_b"])
    if given["resume"] and not (a or b):
        return folders_of(read_run(folder)[1])
    raise UsageError(
        "--data-a and --data-b are needed",
        remedy="name a folder for each side, or one for both by --data",
    )


def _check(voice: Voice, config: TrainConfig, folders: Folders) -> None:
    """Read everything, say what a training would see, and draw one batch of it."""
    from rich.console import Console

    from medcyclegan.training.data.check import draw_batch, summary_table
    from medcyclegan.training.data.open import open_data

    with voice.progress("Reading the data") as progress:
        data = open_data(config.data, folders, seed=config.seed, progress=progress)
    for warning in data.summary.warnings:
        voice.warn(warning)
    picture = Path(f"{config.name}_check.png")
    draw_batch(data.train, to=picture, overwrite=True)
    if voice.level >= 0 and not voice.json:
        Console().print(summary_table(data.summary))
    voice.say_paths([picture])


def _run(voice: Voice, job: Job, *, resume: bool) -> None:
    from medcyclegan.training.loop import train as go

    with _shown_progress(voice, job) as on_step:
        state = go(job, resume=resume, on_step=on_step)
    if not job.crew.leads:
        return
    root = job.folder.root
    voice.say_paths(
        [root],
        steps=state.step,
        seconds=round(state.seconds, 1),
        best_error=state.best,
    )
    voice.say(f"{state.step} steps in {state.seconds / 60.0:.1f} min")
    voice.say(f"Next: medcyclegan export {root} --out {root}_model")


@contextmanager
def _shown_progress(voice: Voice, job: Job) -> Iterator[OnStep]:
    """A bar with the losses and the time left, or where there is no terminal some lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    steps, quiet = job.config.steps, voice.level < 0 or voice.json
    columns = (MofNCompleteColumn(), BarColumn(), TimeLeft(), TextColumn("{task.description}"))
    hidden = quiet or not console.is_terminal
    every = max(1, steps // LINES)
    with Progress(*columns, console=console, disable=hidden) as bar:
        task = bar.add_task("", total=steps)

        def show(step: int, losses: Mapping[str, float]) -> None:
            text = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
            bar.update(task, completed=step, description=text)
            if hidden and not quiet and (step % every == 0 or step == steps):
                click.echo(f"step {step} of {steps}  {text}", err=True)

        yield show
