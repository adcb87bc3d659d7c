"""Train recipes on the same unpaired data for the same time each, and score them on held-out pairs.

    medcyclegan simulate mr-ct --out DATA --subjects 14 --test-subjects 4 --contrast t1 \\
        --spacing 2 2 2 --seed 5
    python -m benchmarks.compare_recipes --data DATA --out runs/recipes --minutes 6

``reference`` is CycleGAN as published (Zhu et al. 2017): nine residual blocks of 64 filters, 2D,
float32, batch 1, no structure loss, no moving average. ``default`` is the configuration mr_ct. The
others are the default with one thing taken away or changed. The time is that of one core: a few
steps of every recipe are timed first, in seconds of the process, and the number of steps follows
from them, so that another load on the machine meets all alike. Validations are not counted.
Recipes that are done already, by their folder in ``--out``, are not trained again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from medcyclegan import __version__
from medcyclegan.task import Window
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.data.open import open_data
from medcyclegan.training.loop import train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.start import Request, prepare_job
from medcyclegan.training.validation import validate
from medcyclegan.transforms.scaling import WindowScaling

# What all recipes share here: 128 x 128 slices of 2 mm, all data loaded in the process itself.
SHARED = ("data.spacing_mm=2.0", "data.thick_slice_mm=3.0", "workers=0", "panel_steps=[]",
          "checkpoint_every=1000000", "panel_every=1000000", "validation_cases=2", "log_every=20",
          "seed=11")  # fmt: skip
RECIPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "reference": (
        "generator={kind: resnet, widths: [64], blocks: 9, norm: instance}", "data.depth=1",
        "start=null", "losses={adversarial: 1.0, cycle: 10.0, identity: 5.0}", "ema_decay=0.0",
        "precision=float32", "data.position_matched=false", "discriminator.width=64",
        "generator_rate=2e-4",
    ),
    "without the start": ("start=null", "losses.matched=0"),
    "start alone": (),
    "without structure loss": ("losses.structure=0", "start.losses.structure=0"),
    "with gradient loss": ("losses.gradient=0.5", "start.losses.gradient=0.5"),
    "without moving average": ("ema_decay=0.0",),
    "2D in place of 2.5D": ("data.depth=1",),
}  # fmt: skip
# The share of the steps that is the start, where it is another than that of the configuration.
START_SHARES = {"start alone": 1.0}
TIMED_STEPS, WARM_STEPS, VALIDATIONS = 6, 2, 4
FIGURES = ("mae", "psnr_db", "ssim")


class Pace(NamedTuple):
    """How many steps there is time for, and the core seconds of one in the start and after it."""

    steps: int
    start_s: float
    after_s: float

    def seconds_at(self, step: int, start_steps: int) -> float:
        """Core seconds of training after ``step`` steps, ``start_steps`` of them the start."""
        started = min(step, start_steps)
        return started * self.start_s + (step - started) * self.after_s


def start_share(recipe: str, usual: TrainConfig) -> float:
    """The share of a recipe's steps that is the start."""
    if usual.start is None or "start=null" in RECIPES[recipe]:
        return 0.0
    return START_SHARES.get(recipe, usual.start.steps / usual.steps)


def settings(recipe: str, *, config: str, steps: int) -> TrainConfig:
    """The configuration of a recipe for a number of steps."""
    path = find_config(config)
    usual = read_settings(path, TrainConfig)
    changes = [
        *SHARED, f"steps={steps}", f"decay_from_step={steps // 2}",
        f"validate_every={max(1, steps // VALIDATIONS)}",
    ]  # fmt: skip
    if usual.start is not None:
        changes.append(f"start.steps={max(1, round(start_share(recipe, usual) * steps))}")
    return read_settings(path, TrainConfig, changes=[*changes, *RECIPES[recipe]])


def folders_of(data: Path) -> Folders:
    """The folders as ``medcyclegan simulate`` makes them."""
    return Folders(data / "trainA", data / "trainB", data / "testA", data / "testB")


def run(config: TrainConfig, folders: Folders, root: Path) -> list[float]:
    """Train; returns the process's seconds at the end of every step."""
    request = Request(config, folders, RunFolder(root), resume=False)
    job = prepare_job(
        request, device=torch.device("cpu"), crew=Crew(), version=__version__, progress=None
    )
    ends: list[float] = []
    train(job, resume=False, on_step=lambda step, losses: ends.append(time.process_time()))
    return ends


def seconds_a_step(config: TrainConfig, arguments: argparse.Namespace) -> float:
    """Time a few steps, the first ones left out."""
    root = arguments.out / f"timing_{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    ends = run(config, folders_of(arguments.data), root)
    shutil.rmtree(root)
    gaps = sorted(b - a for a, b in zip(ends[WARM_STEPS - 1 :], ends[WARM_STEPS:], strict=False))
    return gaps[len(gaps) // 2]


def pace_of(recipe: str, arguments: argparse.Namespace) -> Pace:
    """Time the steps of the start and those after it, and count how many there is time for."""
    steps = WARM_STEPS + TIMED_STEPS
    few = settings(recipe, config=arguments.config, steps=steps)
    few = few.model_copy(update={"validate_every": steps + 1, "log_every": steps + 1})
    after_s = seconds_a_step(few.model_copy(update={"start": None}), arguments)
    share = start_share(recipe, read_settings(find_config(arguments.config), TrainConfig))
    start_s = 0.0
    if few.start is not None:
        start = few.start.model_copy(update={"steps": steps})
        start_s = seconds_a_step(few.model_copy(update={"start": start}), arguments)
    mean_s = share * start_s + (1.0 - share) * after_s
    return Pace(
        steps=max(VALIDATIONS, round(60.0 * arguments.minutes / mean_s)),
        start_s=start_s,
        after_s=after_s,
    )


def table(root: Path, recipe: str, config: TrainConfig, pace: Pace) -> list[dict[str, str | float]]:
    """Rows of the validations from A to B, with the minutes of training."""
    with (root / "validation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == "a-to-b"]
    start_steps = config.start.steps if config.start else 0
    return [
        {
            "recipe": recipe,
            "step": row["step"],
            "minutes": round(pace.seconds_at(int(row["step"]), start_steps) / 60.0, 2),
        }
        | {name: float(row[name]) for name in FIGURES}
        for row in rows
    ]


class Water(nn.Module):
    """A generator that gives water, 0 HU, for whatever it is shown."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.normalised = float(WindowScaling(window)(torch.zeros(1)))

    def forward(self, slabs: Tensor) -> Tensor:
        """(N, depth, H, W) -> the same."""
        return torch.full_like(slabs, self.normalised)


def water(config: TrainConfig, folders: Folders) -> dict[str, str | float]:
    """What water for all of the body scores on the same pairs: no network at all."""
    cases = open_data(config.data, folders, seed=config.seed).validation
    generator = Water(config.data.task("a").target_window)
    result = validate({"a-to-b": generator}, cases, config, torch.device("cpu"))[0]
    figures = {name: float(getattr(result, name)) for name in FIGURES}
    return {"recipe": "water", "step": 0, "minutes": 0.0, **figures}


def print_row(row: Mapping[str, str | float]) -> None:
    """Print a row of a Markdown table."""
    figures = f"{row['mae']:.0f} | {row['psnr_db']:.1f} | {row['ssim']:.3f}"
    print(f"| {row['recipe']} | {row['minutes']:.1f} | {row['step']} | {figures} |", flush=True)


def main() -> None:
    """Train all recipes that are not there yet, write ``recipes.csv``, print its rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="mr_ct")
    parser.add_argument("--minutes", type=float, default=6.0, help="core minutes of training each")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    first = settings(arguments.only[0], config=arguments.config, steps=VALIDATIONS)
    rows = [water(first, folders_of(arguments.data))]
    print("| recipe | core minutes | steps | MAE HU | PSNR dB | SSIM |\n" + "| --- " * 6 + "|")
    print_row(rows[0])
    for recipe in arguments.only:
        root = arguments.out / recipe.replace(" ", "_")
        done = root / "pace.json"
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            pace = pace_of(recipe, arguments)
            print(f"{recipe}: {pace}", flush=True)
            run(settings(recipe, config=arguments.config, steps=pace.steps),
                folders_of(arguments.data), root)  # fmt: skip
            done.write_text(json.dumps(pace._asdict()))
        pace = Pace(**json.loads(done.read_text()))
        config = settings(recipe, config=arguments.config, steps=pace.steps)
        for row in table(root, recipe, config, pace):
            rows.append(row)
            print_row(row)
    with (arguments.out / "recipes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
