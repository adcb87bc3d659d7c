"""What the five scripts from data to result share: their options, and calls of medcyclegan."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.cli.main import cli
from medcyclegan.errors import MedcycleganError


@dataclass(frozen=True)
class Way:
    """Where the results go, and the folders of images on the way there.

    ``a`` and ``b`` are trained on; ``test_a`` and ``test_b`` are held back, None without any.
    ``simulated``: the images came from code. ``paired``: files of one name in ``test_a`` and
    ``test_b`` show one anatomy, so that results can be scored.
    """

    out: Path
    a: Path
    b: Path
    test_a: Path | None
    test_b: Path | None
    simulated: bool
    paired: bool
    changes: tuple[str, ...]


def medcyclegan(*words: object) -> None:
    """Run a command in this process, as the shell would run the line that is printed."""
    line = [str(word) for word in words]
    print(f"$ medcyclegan {shlex.join(line)}", flush=True)
    try:
        cli.main(line, standalone_mode=False)
    except MedcycleganError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def options(about: str, *, subjects: int) -> argparse.ArgumentParser:
    """The options of a script; ``subjects`` is how many are simulated if nothing else is said."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    for name in ("--data-a", "--data-b", "--test-a", "--test-b"):
        parser.add_argument(name, type=Path, help="images of your own; else they are simulated")
    parser.add_argument("--paired", action="store_true", help="your test folders hold pairs")
    parser.add_argument("--subjects", type=int, default=subjects, help="subjects to simulate")
    parser.add_argument("--simulate", default="", help="more options of medcyclegan simulate")
    parser.add_argument("--steps", type=int, help="steps of the training; else the configuration's")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="other settings of it")
    return parser


def begin(parser: argparse.ArgumentParser, task: str) -> Way:
    """Take the images that are given, or simulate those of ``task``."""
    given = parser.parse_args()
    changes = tuple(given.changes)
    if given.steps:
        changes = (f"steps={given.steps}", *changes)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.data_a and given.data_b:
        folders = (given.data_a, given.data_b, given.test_a, given.test_b)
        return Way(given.out, *folders, simulated=False, paired=given.paired, changes=changes)
    if given.data_a or given.data_b:
        parser.error("--data-a and --data-b belong together")
    data = given.out / "data"
    if not data.exists():
        more = shlex.split(given.simulate)
        medcyclegan("simulate", task, "--out", data, "--subjects", given.subjects, *more)
    folders = (data / "trainA", data / "trainB", data / "testA", data / "testB")
    return Way(given.out, *folders, simulated=True, paired=True, changes=changes)


def train(way: Way, config: str) -> Path:
    """Train, or go on with the run that was begun there; returns the run folder."""
    run = way.out / "run"
    if (run / "config.yaml").exists():
        medcyclegan("train", config, "--out", run, "--resume", *way.changes)
        return run
    folders: list[object] = ["--data-a", way.a, "--data-b", way.b]
    if way.test_a and way.test_b:
        folders += ["--validation-a", way.test_a, "--validation-b", way.test_b]
    medcyclegan("train", config, *folders, "--out", run, *way.changes)
    return run


def export(way: Way, run: Path, name: str, *more: str) -> Path:
    """Make the model folder ``name`` from a run; returns it. ``more`` options of the command."""
    model = way.out / name
    card = ("--simulated",) if way.simulated else ()
    medcyclegan("export", run, "--out", model, *more, *card)
    return model


def images_in(folder: Path | None) -> list[Path]:
    """The files and the folders of DICOM slices right in a folder; none without a folder."""
    return sorted(path for path in folder.glob("[!.]*")) if folder else []


def partner(image: Path, folder: Path) -> Path:
    """The image of the same name, endings aside, in the folder of the other side."""
    return next(folder.glob(f"{image.name.partition('.')[0]}*"))


def result_name(image: Path) -> str:
    """A name for what is made of an image: JPEG becomes PNG, files of DICOM become folders."""
    if image.suffix.lower() in (".jpg", ".jpeg"):
        return f"{image.stem}.png"
    return image.stem if image.suffix.lower() in (".dcm", ".ima") else image.name


def new_folder(way: Way, name: str) -> Path:
    """Make a folder for results."""
    folder = way.out / name
    folder.mkdir(exist_ok=True)
    return folder
