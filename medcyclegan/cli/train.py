"""``medcyclegan train`` and ``config``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_inputs
from medcyclegan.training.shipped import find_config

CONFIG_EXAMPLES = """\b
Examples:
  medcyclegan config list
  medcyclegan config show mr_ct
  medcyclegan config show mr_ct --all
"""


@click.group("config", epilog=CONFIG_EXAMPLES)
def config() -> None:
    """Look at the configurations that come along for training."""


@config.command("list", epilog="Example:  medcyclegan config list")
def list_() -> None:
    """List the shipped configurations, a line each."""
    from medcyclegan.core.text import MOST_SETTINGS_BYTES, parse_yaml, read_text
    from medcyclegan.training.shipped import shipped_configs

    shipped = shipped_configs()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        content: Any = parse_yaml(read_text(path, most_bytes=MOST_SETTINGS_BYTES))
        click.echo(f"{name:{width}} {content['summary']}")


@config.command("show", epilog="Example:  medcyclegan config show mr_ct > mine.yaml")
@click.argument("name")
@click.option("--all", "every", is_flag=True, help="Every key, with its default and what it means.")
def show(name: str, every: bool) -> None:
    """Print the shipped configuration NAME, with its comments."""
    from medcyclegan.core.text import MOST_SETTINGS_BYTES, parse_yaml, read_text
    from medcyclegan.errors import UsageError
    from medcyclegan.training.shipped import find_config

    if every:
        _show_all(name)
        return
    path = find_config(name)
    try:
        text = read_text(path, most_bytes=MOST_SETTINGS_BYTES)
        is_one = isinstance(parse_yaml(text), dict)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({error})") from error
    if not is_one:
        raise UsageError(f"{path} holds no keys", rule="a configuration is keys and values")
    click.echo(text, nl=False)


def _show_all(name: str) -> None:
    """Print a line for each key: what it is set to, its default where that differs, its meaning."""
    from medcyclegan.training.config import TrainConfig
    from medcyclegan.training.reference import as_yaml, settings_in
    from medcyclegan.training.settings import read_settings
    from medcyclegan.training.shipped import find_config

    for setting in settings_in(read_settings(find_config(name), TrainConfig)):
        value = as_yaml(setting.value)
        default = "" if setting.default in (value, "required") else f" (default {setting.default})"
        click.echo(f"{setting.key}={value}{default}  # {setting.help}")


if TYPE_CHECKING:
    from medcyclegan.training.config import TrainConfig
    from medcyclegan.training.data.config import Folders, LabelMaps
    from medcyclegan.training.loop import Job, Watcher
    from medcyclegan.training.run_folder import RunFolder

EXAMPLES = """\b
Examples:
  medcyclegan train mr_ct --data-a mr/ --data-b ct/ --check
  medcyclegan train mr_ct --data-a mr/ --data-b ct/ --out run/ steps=5000 engine.losses.cycle=20
  medcyclegan train head_mr_ct --labels labels/ --prepared prepared/ --out run/ --minutes 30
  medcyclegan train --out run/ --resume steps=30000
  torchrun --nproc-per-node 2 -m medcyclegan train mr_ct --data-a mr/ --data-b ct/ batch_size=2
"""

_INPUTS = ("data", "data_a", "data_b", "validation_a", "validation_b", "labels")
FOLDER = click.Path(path_type=Path)


@click.command("train", epilog=EXAMPLES)
@click.argument("config", required=False)
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", type=FOLDER, help="Folder (SynthRAD, nnU-Net, BIDS) or CSV of both sides.")
@click.option("--data-a", type=FOLDER, help="Folder of images of side A, at any depth.")
@click.option("--data-b", type=FOLDER, help="Folder of images of side B.")
@click.option("--validation-a", type=FOLDER, help="Held-back images of side A.")
@click.option("--validation-b", type=FOLDER, help="Held-back images of side B.")
@click.option("--labels", type=FOLDER, help="Label maps that pairs are simulated from.")
@click.option(
    "--heads",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="How many of them to train on; up to two more validate.",
)
@click.option("--prepared", type=FOLDER, help="Where prepared label maps are kept and found again.")
@click.option("--minutes", type=float, help="Train for so long, in place of a number of steps.")
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
def train(*, voice: Voice, config: str | None, changes: tuple[str, ...], **given: Any) -> None:
    """Train a translation between two kinds of images; pairs are not needed.

    CONFIG is the name of a shipped configuration (see: medcyclegan config list) or a YAML file;
    KEY=VALUE changes one of its settings, as engine.losses.cycle=20. With --resume the settings
    are those of the run, and CONFIG may be left out.
    """
    check_inputs(*(given[name] for name in _INPUTS))
    if config is not None and "=" in config and not Path(config).is_file():
        changes, config = (config, *changes), None
    if config is not None and not given["resume"]:
        find_config(config)
    from medcyclegan import __version__
    from medcyclegan.errors import UsageError
    from medcyclegan.inference.sliding_slabs import choose_device
    from medcyclegan.training.parallel import joined_crew
    from medcyclegan.training.run import Request, prepare_job, settings_of
    from medcyclegan.training.run_folder import RunFolder

    if given["minutes"] is not None:
        changes = (*changes, f"minutes={given['minutes']}")
    resume = given["resume"]
    if resume and not given["out"] and config is None:
        raise UsageError("--resume without --out", remedy="name the folder of the run by --out")
    folder = RunFolder(given["out"] or Path("runs") / Path(str(config)).stem)
    settings = settings_of(config, folder, changes=changes, resume=resume)
    for warning in settings.engine.warnings():
        voice.warn(warning)
    if not given["out"] and not resume:
        folder = RunFolder(Path("runs") / settings.name)
    source, device = _source(given, folder), choose_device(given["device"])
    if given["check"]:
        _check(voice, settings, source)
        return
    request = Request(settings, source, folder, resume)
    with joined_crew() as crew:
        voice = voice if crew.leads else replace(voice, level=-1, json=False)
        with voice.progress("Reading the data") as progress:
            job = prepare_job(
                request, device=device, crew=crew, version=__version__, progress=progress
            )
        for warning in job.data.summary.warnings if crew.leads else ():
            voice.warn(warning)
        _run(voice, job, resume=request.resume)


def _source(given: Mapping[str, Any], folder: RunFolder) -> Folders | LabelMaps:
    """The data from the options, or with ``--resume`` those that the run began with."""
    from medcyclegan.errors import UsageError
    from medcyclegan.training.data.config import Folders, LabelMaps
    from medcyclegan.training.run import source_of_run
    from medcyclegan.training.run_folder import read_run

    if given["labels"]:
        return LabelMaps(given["labels"], given["heads"], given["prepared"])
    both, a, b = given["data"], given["data_a"], given["data_b"]
    if both and (a or b):
        raise UsageError("--data with --data-a or --data-b", remedy="give one or the other")
    if both or (a and b):
        return Folders(both or a, both or b, given["validation_a"], given["validation_b"])
    if given["resume"] and not (a or b):
        return source_of_run(read_run(folder)[1])
    raise UsageError(
        "--data-a and --data-b are needed, or --labels",
        rule="a folder for each side, or one for both by --data; where data.kind is simulated, one "
        "of label maps",
        remedy="name them",
    )


def _check(voice: Voice, config: TrainConfig, source: Folders | LabelMaps) -> None:
    """Read everything, say what a training would see, and draw one batch of it."""
    from rich.console import Console

    from medcyclegan.training.data.check import draw_batch, summary_table
    from medcyclegan.training.run import open_source

    with voice.progress("Reading the data") as progress:
        data = open_source(config, source, progress=progress)
    for warning in data.summary.warnings:
        voice.warn(warning)
    picture = Path(f"{config.name}_check.png")
    draw_batch(data.train, to=picture, overwrite=True)
    if voice.level >= 0 and not voice.json:
        Console().print(summary_table(data.summary))
    voice.say_paths([picture])


def _run(voice: Voice, job: Job, *, resume: bool) -> None:
    from medcyclegan.training.loop import train as go

    with _shown_progress(voice, job) as watcher:
        state = go(job, resume=resume, watcher=watcher)
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
def _shown_progress(voice: Voice, job: Job) -> Iterator[Watcher]:
    """A bar with the losses and the time left, or where there is no terminal some lines."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from medcyclegan.cli.training_view import TrainingView

    console = Console(stderr=True)
    quiet = voice.level < 0 or voice.json
    hidden = quiet or not console.is_terminal
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=hidden) as bar:
        yield TrainingView(job.config, bar, quiet=quiet, lines=hidden)
