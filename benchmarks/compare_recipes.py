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
import shutil
import time
from pathlib import Path

import torch

from medcyclegan import __version__
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.loop import train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.start import Request, prepare_job

# What all recipes share here: 128 x 128 slices of 2 mm, all data loaded in the process itself.
SHARED = ("data.spacing_mm=2.0", "data.thick_slice_mm=3.0", "workers=0", "panel_steps=[]",
          "checkpoint_every=1000000", "panel_every=1000000", "validation_cases=2", "log_every=20",
          "seed=11")  # fmt: skip
RECIPES: dict[str, tuple[str, ...]] = {
    "default": (),
    "reference": (
        "generator={kind: resnet, widths: [64], blocks: 9, norm: instance}", "data.depth=1",
        "losses={adversarial: 1.0, cycle: 10.0, identity: 5.0}", "ema_decay=0.0",
        "precision=float32", "data.position_matched=false", "discriminator.width=64",
    ),
    "without structure loss": ("losses.structure=0.0",),
    "without gradient loss": ("losses.gradient=0.0",),
    "without moving average": ("ema_decay=0.0",),
    "2D in place of 2.5D": ("data.depth=1",),
    "slabs not matched by position": ("data.position_matched=false",),
    "discriminators of 64 filters": ("discriminator.width=64",),
}  # fmt: skip
TIMED_STEPS, WARM_STEPS, VALIDATIONS = 6, 2, 3
FIGURES = ("mae", "psnr_db", "ssim")


def settings(recipe: str, *, config: str, steps: int) -> TrainConfig:
    """The configuration of a recipe for a number of steps, with a validation each third."""
    changes = (
        *SHARED, *RECIPES[recipe], f"steps={steps}", f"decay_from_step={steps // 2}",
        f"validate_every={max(1, steps // VALIDATIONS)}",
    )  # fmt: skip
    return read_settings(find_config(config), TrainConfig, changes=changes)


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


def seconds_a_step(recipe: str, arguments: argparse.Namespace) -> float:
    """Time a few steps, the first ones left out."""
    root = arguments.out / "timing"
    shutil.rmtree(root, ignore_errors=True)
    steps = WARM_STEPS + TIMED_STEPS
    config = settings(recipe, config=arguments.config, steps=steps)
    config = config.model_copy(update={"validate_every": steps + 1, "log_every": steps + 1})
    ends = run(config, folders_of(arguments.data), root)
    shutil.rmtree(root)
    gaps = sorted(b - a for a, b in zip(ends[WARM_STEPS - 1 :], ends[WARM_STEPS:], strict=False))
    return gaps[len(gaps) // 2]


def table(root: Path, recipe: str, rate: float) -> list[dict[str, str | float]]:
    """Rows of the validations from A to B, with the minutes of training."""
    with (root / "validation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == "a-to-b"]
    return [
        {"recipe": recipe, "step": row["step"], "minutes": round(int(row["step"]) * rate / 60, 2)}
        | {name: float(row[name]) for name in FIGURES}
        for row in rows
    ]


def main() -> None:
    """Train all recipes that are not there yet, write ``recipes.csv``, print the last rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="mr_ct")
    parser.add_argument("--minutes", type=float, default=6.0, help="core minutes of training each")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str | float]] = []
    for recipe in arguments.only:
        root = arguments.out / recipe.replace(" ", "_")
        timing = root / "seconds_a_step.txt"
        if not timing.exists():
            rate = seconds_a_step(recipe, arguments)
            steps = max(VALIDATIONS, round(60.0 * arguments.minutes / rate))
            print(f"{recipe}: {rate:.3f} s a step, {steps} steps", flush=True)
            config = settings(recipe, config=arguments.config, steps=steps)
            run(config, folders_of(arguments.data), root)
            timing.write_text(str(rate))
        rows += table(root, recipe, float(timing.read_text()))
        last = rows[-1]
        figures = " | ".join(f"{float(last[name]):.4g}" for name in FIGURES)
        print(f"| {recipe} | {last['step']} | {figures} |", flush=True)
    with (arguments.out / "recipes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
