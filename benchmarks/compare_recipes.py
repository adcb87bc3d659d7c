"""Train recipes on the same unpaired data for the same time each, and score them on held-out pairs.

    medcyclegan simulate mr-ct --out DATA --subjects 14 --test-subjects 4 --contrast t1 \\
        --spacing 2 2 2 --seed 5
    python -m benchmarks.compare_recipes --data DATA --out runs/recipes --minutes 6

``reference`` is CycleGAN as published (Zhu et al. 2017): nine residual blocks of 64 filters, 2D,
float32, batch 1, no structure loss, no moving average. ``default`` is the configuration mr_ct. The
others are the default with one thing taken away or changed. The clock of a training is the time
that its process computes, with one thread, so that another load on the machine meets none of them.
Recipes that are done already, by their folder in ``--out``, are not trained again.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from medcyclegan import __version__
from medcyclegan.core.task import Window
from medcyclegan.imaging.preprocessing import WindowScaling
from medcyclegan.training.checkpoint import LAST
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.open import open_data
from medcyclegan.training.loop import Watcher, train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run import Request, prepare_job
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.validation import validate

# What all recipes share here: 128 x 128 slices of 2 mm, all data loaded in the process itself.
SHARED = ("data.spacing_mm=2.0", "data.thick_slice_mm=3.0", "workers=0", "panel_steps=[]",
          "checkpoint_every=1000000", "panel_every=1000000", "validation_cases=2", "log_every=20",
          "validate_every=200", "seed=11")  # fmt: skip
RECIPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "reference": (
        "generator={kind: resnet, widths: [64], blocks: 9, norm: instance}", "data.depth=1",
        "engine.warmup=null", "engine.losses={adversarial: 1.0, cycle: 10.0, identity: 5.0}",
        "ema_decay=0.0",
        "precision=float32", "data.position_matched=false",
        "engine.discriminator.width=64", "engine.generator_rate=2e-4",
    ),
    "without the warm-up": ("engine.warmup=null", "engine.losses.matched=0"),
    "warm-up alone": ("engine.warmup.share=1.0",),
    "without structure loss": (
        "engine.losses.structure=0", "engine.warmup.losses.structure=0",
    ),
    "with gradient loss": ("engine.losses.gradient=0.5", "engine.warmup.losses.gradient=0.5"),
    "without moving average": ("ema_decay=0.0",),
    "2D in place of 2.5D": ("data.depth=1",),
}  # fmt: skip
FIGURES = ("mae", "psnr_db", "ssim")


def settings(recipe: str, *, config: str, minutes: float) -> TrainConfig:
    """The configuration of a recipe for so many minutes of a core."""
    changes = [*SHARED, f"minutes={minutes}", *RECIPES[recipe]]
    return read_settings(find_config(config), TrainConfig, changes=changes)


def folders_of(data: Path) -> Folders:
    """The folders as ``medcyclegan simulate`` makes them."""
    return Folders(data / "trainA", data / "trainB", data / "testA", data / "testB")


def run(config: TrainConfig, folders: Folders, root: Path) -> None:
    """Train."""
    request = Request(config, folders, RunFolder(root), resume=False)
    job = prepare_job(
        request, device=torch.device("cpu"), crew=Crew(), version=__version__, progress=None
    )
    train(replace(job, clock=time.process_time), resume=False, watcher=Watcher())


def table(root: Path, recipe: str) -> list[dict[str, str | float]]:
    """Rows of the validations from A to B, with the minutes of training."""
    with (root / "validation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == "a-to-b"]
    return [
        {
            "recipe": recipe,
            "step": row["step"],
            "minutes": round(float(row["seconds"]) / 60.0, 2),
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
    generator = Water(config.task("a-to-b").target_window)
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
    asked = {"config": arguments.config, "minutes": arguments.minutes}
    first = settings(arguments.only[0], **asked)
    rows = [water(first, folders_of(arguments.data))]
    print("| recipe | core minutes | steps | MAE HU | PSNR dB | SSIM |\n" + "| --- " * 6 + "|")
    print_row(rows[0])
    for recipe in arguments.only:
        root = arguments.out / recipe.replace(" ", "_")
        if not (root / "checkpoints" / LAST).exists():
            shutil.rmtree(root, ignore_errors=True)
            run(settings(recipe, **asked), folders_of(arguments.data), root)
        for row in table(root, recipe):
            rows.append(row)
            print_row(row)
    with (arguments.out / "recipes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
