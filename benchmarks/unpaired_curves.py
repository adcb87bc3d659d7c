"""What configurations learn from simulated data of other subjects, by the time of one core.

    python -m benchmarks.unpaired_curves data --root DATA
    python -m benchmarks.unpaired_curves train --root DATA --out RUNS --minutes 10
    python -m benchmarks.unpaired_curves draw --out RUNS --csv CURVES.csv --figure CURVES.png

``data`` calls ``medcyclegan simulate``: subjects of A and of B are others, and those that are held
back have both images. ``train`` trains configurations as they ship, unless ``--set`` changes keys.
The clock is the time that the process computes, validations included, so that another load on the
machine counts for nothing. A run that is there is gone on with if it was stopped, else left alone.

``contrastive`` and ``supervised`` are ``mr_ct`` with another engine, the latter on both images of
the subjects of which the others have one each; ``from_warmup`` is ``mr_ct`` that never leaves its
warm-up; in ``t1_t2_early`` discriminators join at half of the time, and nothing takes a grid of 2
pixels out. Beside them stand what needs no network: the input as it is, and water (0 HU) for all of
a body.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from click.testing import CliRunner
from torch import nn

from benchmarks.compare_recipes import Water, folders_of
from medcyclegan import __version__
from medcyclegan.cli.main import cli as medcyclegan
from medcyclegan.training.checkpoint import LAST
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.open import open_data
from medcyclegan.training.loop import Watcher, train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run import Request, prepare_job
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.validation import Validation, validate

CPU = torch.device("cpu")
TEST_SUBJECTS, SEED = 4, 5
# Options of ``medcyclegan simulate`` by folder: 40 pictures a side, or some volumes.
DATA = {
    "t1_t2": "t1-t2 --format png --spacing 1 1 14 --size 181 217 5 --subjects 20",
    "mr_ct": "mr-ct --contrast t1 --spacing 2 2 2 --subjects 14",
    "mr_ct_pairs": "mr-ct --contrast t1 --spacing 2 2 2 --subjects 14 --paired",
    "ct_images": "ct-images --subjects 20 --slices 5",
    "xray_ct": "xray-ct --subjects 44",
    "ct_denoise": "ct-denoise --subjects 12 --size 256 256 5",
}
# All data are loaded in the process itself.
SHARED = ("workers=0", "panel_every=1000000", "validation_cases=20", "log_every=50",
          "validate_every=200", "seed=11")  # fmt: skip
TWO_MM = ("data.spacing_mm=2.0", "data.thick_slice_mm=3.0", "validation_cases=4")
FAST_CUT = (
    "engine={kind: contrastive, discriminator: {width: 32}, adversarial: 0.2, patch_nce: 2.0,"
    " identity: 0, matched: 2.5, warmup_share: 0.7, generator_rate: 1e-3}"
)
SUPERVISED = ("engine={kind: supervised, learning_rate: 1e-3, level_weight: 0}",
              "data.pairs=by-name", "data.position_matched=false")  # fmt: skip
EARLY = ("engine.warmup.share=0.5", "engine.losses.matched=1.0", "generator.notch=false")
FIGURES = ("mae", "psnr_db", "ssim", "correlation", "bone_dice", "cycle_mae")


@dataclass(frozen=True)
class Recipe:
    """A configuration by name, the folder of its data, and what is changed."""

    config: str
    data: str
    changes: tuple[str, ...] = ()

    def settings(self, more: Sequence[str] = ()) -> TrainConfig:
        """The settings, with ``more`` changes."""
        changes = [*SHARED, *self.changes, *more]
        return read_settings(find_config(self.config), TrainConfig, changes=changes)


RECIPES = {
    "t1_t2": Recipe("t1_t2", "t1_t2"),
    "t1_t2_early": Recipe("t1_t2", "t1_t2", EARLY),
    "mr_ct": Recipe("mr_ct", "mr_ct", TWO_MM),
    "from_warmup": Recipe("mr_ct", "mr_ct", (*TWO_MM, "engine.warmup.share=1.0")),
    "contrastive": Recipe("mr_ct", "mr_ct", (*TWO_MM, FAST_CUT)),
    "supervised": Recipe("mr_ct", "mr_ct_pairs", (*TWO_MM, *SUPERVISED)),
    "ct_images": Recipe("ct_images", "ct_images", ("data.validation_pairs=by-name",)),
    "xray_ct": Recipe("xray_ct", "xray_ct"),
    "ct_denoise": Recipe("ct_denoise", "ct_denoise"),
}
# The figure of each task, and what it is called.
SHOWN = {
    "t1_t2": ("correlation", "correlation with the truth"),
    "mr_ct": ("mae", "MAE, HU"),
    "ct_images": ("correlation", "correlation with the truth"),
    "xray_ct": ("cycle_mae", "error there and back, grey values"),
    "ct_denoise": ("mae", "MAE, HU"),
}
Row = dict[str, str | float]


def make_data(root: Path) -> None:
    """Simulate what is not there yet."""
    for name, options in DATA.items():
        if not (root / name).exists():
            given = ["--out", str(root / name), "--test-subjects", str(TEST_SUBJECTS)]
            command = ["simulate", *options.split(), *given, "--seed", str(SEED)]
            print("medcyclegan", *command, flush=True)
            CliRunner().invoke(medcyclegan, command, catch_exceptions=False)


class Told(Watcher):
    """Prints the figures of every validation."""

    def validated(self, step: int, results: Sequence[Validation]) -> None:
        """A line for each direction."""
        for result in results:
            figures = (f"{name} {getattr(result, name):.4g}" for name in FIGURES)
            minutes = time.process_time() / 60.0
            print(f"{minutes:5.2f} min, step {step}: {result.direction}", *figures, flush=True)


def run(recipe: Recipe, config: TrainConfig, *, root: Path, out: Path) -> None:
    """Train, or go on; the clock is the time that this process computes."""
    resume = (out / "checkpoints" / LAST).exists()
    folders = folders_of(root / recipe.data)
    request = Request(config, folders, RunFolder(out), resume=resume)
    job = prepare_job(request, device=CPU, crew=Crew(), version=__version__, progress=None)
    train(replace(job, clock=time.process_time), resume=resume, watcher=Told())


def without_network(name: str, *, root: Path) -> Iterator[Row]:
    """The figures of the input as it is, or of water where A and B have other units."""
    recipe = RECIPES[name]
    config = recipe.settings()
    cases = open_data(config.data, folders_of(root / recipe.data), seed=config.seed).validation
    water = config.data.a.unit != config.data.b.unit
    same = {"a-to-b": nn.Identity(), "b-to-a": nn.Identity()}
    generators = {"a-to-b": Water(config.task("a-to-b").target_window)} if water else same
    for result in validate(generators, cases, config, CPU):
        figures = {figure: getattr(result, figure) for figure in FIGURES}
        label = "water" if water else "input"
        yield {"recipe": label, "task": name, "direction": result.direction, "minutes": 0.0,
               "step": 0, **figures}  # fmt: skip


def rows_of(name: str, out: Path) -> Iterator[Row]:
    """The validations of a run, with the minutes of the core."""
    with (out / name / "validation.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            minutes = round(float(row["seconds"]) / 60.0, 2)
            figures = {figure: float(row[figure]) for figure in FIGURES}
            yield {"recipe": name, "task": RECIPES[name].config, "direction": row["direction"],
                   "minutes": minutes, "step": int(row["step"]), **figures}  # fmt: skip


def draw(rows: Sequence[Mapping[str, str | float]], to: Path) -> None:
    """A panel for each task: its figure over the minutes of one core, both directions."""
    tasks = [task for task in SHOWN if any(row["recipe"] == task for row in rows)]
    figure, axes = plt.subplots(1, len(tasks), figsize=(3.2 * len(tasks), 3.0), squeeze=False)
    for axis, task in zip(axes[0], tasks, strict=True):
        measure, label = SHOWN[task]
        for way, colour in (("a-to-b", "C0"), ("b-to-a", "C1")):
            own = [row for row in rows if row["task"] == task and row["direction"] == way]
            curve = [(row["minutes"], row[measure]) for row in own if row["recipe"] == task]
            flat = [row for row in own if row["recipe"] in ("input", "water")]
            if not curve or (task == "mr_ct" and way == "b-to-a"):
                continue  # trained one way; MR in a.u. cannot share an axis with HU
            axis.plot(*zip(*curve, strict=True), colour, label=way)
            for row in flat:
                axis.axhline(float(row[measure]), color=colour, ls=":", label=row["recipe"])
        axis.set(title=task, xlabel="minutes of one core", ylabel=label)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(to, dpi=110)


def collect(arguments: argparse.Namespace) -> None:
    """Write the rows of all runs that there are, and the figure."""
    names = [name for name in RECIPES if (arguments.out / name / "validation.csv").exists()]
    rows = [row for name in names for row in rows_of(name, arguments.out)]
    for name in SHOWN:
        if name in names and name != "xray_ct":
            rows += without_network(name, root=arguments.root)
    with arguments.csv.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.4g}" if isinstance(value, float) else value
                          for key, value in row.items()} for row in rows)  # fmt: skip
    draw(rows, arguments.figure)


def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("do", choices=["data", "train", "draw"])
    parser.add_argument("--root", type=Path, required=True, help="folder of all data")
    parser.add_argument("--out", type=Path, help="folder of all runs")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--minutes", type=float, default=10.0, help="of one core, each")
    parser.add_argument("--set", nargs="*", default=[], help="changes, as KEY=VALUE")
    parser.add_argument("--name", help="of the run, in place of the recipe's")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.do == "data":
        make_data(arguments.root)
    elif arguments.do == "draw":
        collect(arguments)
    else:
        for name in arguments.only:
            config = RECIPES[name].settings([f"minutes={arguments.minutes}", *arguments.set])
            out = arguments.out / (arguments.name or name)
            run(RECIPES[name], config, root=arguments.root, out=out)


if __name__ == "__main__":
    main()
