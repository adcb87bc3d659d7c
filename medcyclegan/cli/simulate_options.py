"""What the tasks of ``medcyclegan simulate`` share: their options, and writing the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Command, Voice

if TYPE_CHECKING:
    from medcyclegan.simulate.datasets import Pictures, Recipe, Split

Option = Callable[[Command], Command]


@dataclass(frozen=True)
class FolderOptions:
    """Where to, how many, and from which seed."""

    out: Path
    subjects: int
    test_subjects: int | None
    paired: bool
    seed: int
    overwrite: bool

    @property
    def split(self) -> Split:
        """Which subject is in which group."""
        from medcyclegan.simulate.datasets import split_subjects

        return split_subjects(self.subjects, test=self.test_subjects, paired=self.paired)


def folder_options(command: Command) -> Command:
    """Add the options of every task; the command gets them as one ``folder``."""

    def gather(**kwargs: Any) -> Any:
        names = ("out", "subjects", "test_subjects", "paired", "seed", "overwrite")
        return command(folder=FolderOptions(**{name: kwargs.pop(name) for name in names}), **kwargs)

    gather.__name__ = command.__name__
    gather.__doc__ = command.__doc__
    gather.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    options = (
        click.option(
            "--out", type=click.Path(path_type=Path), required=True, help="Folder to make."
        ),
        click.option(
            "--subjects", type=click.IntRange(2, 100_000), required=True, metavar="N",
            help="Subjects in all: those for tests come off, the others go to A and B.",
        ),
        click.option(
            "--test-subjects", type=click.IntRange(1), metavar="N",
            help="How many of them are for tests. Default: a quarter, at least one.",
        ),
        click.option(
            "--paired", is_flag=True, help="The same subjects in trainA and trainB, under one name."
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=1, show_default=True,
            help="The same seed and options give the same files.",
        ),
        click.option(
            "--overwrite", is_flag=True, help="Replace a folder that this command wrote."
        ),
    )  # fmt: skip
    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def spacing_option(default: tuple[float, float, float]) -> Option[Any]:
    """``--spacing``, in the plane and between slices."""
    return click.option(
        "--spacing", type=click.FloatRange(0.3, 20.0), nargs=3, default=default,
        show_default=True, metavar="MM MM MM",
        help="Voxel size along a row, along a column, and between slices.",
    )  # fmt: skip


def size_option(default: tuple[int, int, int] | None) -> Option[Any]:
    """``--size``; without a default it follows from the spacing and the head."""
    return click.option(
        "--size", type=click.IntRange(2, 1024), nargs=3, default=default,
        show_default=default is not None, metavar="N N N",
        help="Columns, rows and slices." + ("" if default else " Default: the whole head."),
    )  # fmt: skip


def format_option(command: Command) -> Command:
    """``--format``, of tasks whose images are volumes."""
    decorated: Any = click.option(
        "--format", "form", type=click.Choice(["nifti", "png"]), default="nifti",
        show_default=True,
        help="Volumes, or a PNG of each slice: MR in 8 bit, CT as HU + 1024 in 16 bit.",
    )(command)  # fmt: skip
    return decorated  # type: ignore[no-any-return]


def simulate_volumes(
    recipe: Recipe,
    task: str,
    settings: Mapping[str, object],
    *,
    form: str,
    folder: FolderOptions,
    voice: Voice,
) -> None:
    """Simulate volumes, and write them or their slices."""
    from medcyclegan.simulate.datasets import Pictures
    from medcyclegan.simulate.pictures import Slices

    settings = {**settings, "format": form}
    if form == "nifti":
        simulate_folder(recipe, task, settings, folder=folder, voice=voice)
        return
    types = {"mr-ct": ("uint8", "uint16"), "ct-denoise": ("uint16", "uint16")}
    pictures = Pictures(*types.get(task, ("uint8", "uint8")))
    simulate_folder(Slices(recipe), task, settings, pictures=pictures, folder=folder, voice=voice)


def simulate_folder(
    recipe: Recipe,
    task: str,
    settings: Mapping[str, object],
    *,
    pictures: Pictures | None = None,
    folder: FolderOptions,
    voice: Voice,
) -> None:
    """Simulate, write, and say what was written."""
    from medcyclegan.io.targets import make_parents
    from medcyclegan.simulate.datasets import Order, write_folder

    order = Order(task, folder.split, folder.seed, version("medcyclegan"), settings, pictures)
    make_parents(folder.out)
    with voice.progress("Simulating") as progress:
        written = write_folder(
            recipe, order, to=folder.out, overwrite=folder.overwrite, progress=progress
        )
    voice.say_paths(written)
