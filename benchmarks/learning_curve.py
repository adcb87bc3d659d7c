"""Draw the learning curve of a training on simulated pairs: its own error, and that of other heads.

    python -m benchmarks.learning_curve --run RUN --config head_mr_ct --out curve.png

RUN holds ``metrics.csv`` and ``validation.csv``, as each training writes them. Held-back slabs are
of heads that are not trained on, and are judged by the moving average of the weights. The dotted
line is where the learning rate begins to fall, the dashed one where patches become larger, both
as if each step had taken the same time.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config


def columns(path: Path, *names: str) -> list[tuple[float, ...]]:
    """Read some columns of a table, row by row."""
    with path.open(newline="") as file:
        return [tuple(float(row[name]) for name in names) for row in csv.DictReader(file)]


def draw(run: Path, config: TrainConfig) -> Figure:
    """Draw error and bone Dice by step."""
    own = columns(run / "metrics.csv", "step", "l1")
    others = columns(run / "validation.csv", "step", "mae", "bone_dice")
    window = config.task("a-to-b").target_window
    hu_a_unit = (window.upper - window.lower) / 2.0
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, errors, overlaps = figure.subplots(1, 3)
    l1_hu = [hu_a_unit * row[1] for row in own]
    losses.plot([row[0] for row in own], l1_hu, color="0.4")
    # the first steps of fresh weights are far above all that is of interest
    losses.set(
        ylabel="training, L1 of whole patches, HU", ylim=(0.0, 1.2 * np.quantile(l1_hu, 0.9))
    )
    steps = [row[0] for row in others]
    errors.plot(steps, [row[1] for row in others], "o-")
    errors.set(ylabel="other heads, MAE in the body, HU")
    overlaps.plot(steps, [row[2] for row in others], "o-")
    overlaps.set(ylabel="other heads, Dice above 250 HU")
    last = own[-1][0]
    for axes in (losses, errors, overlaps):
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=4)
        axes.axvline(config.decay_from * last, color="0.5", linestyle=":")
        if config.late is not None:
            axes.axvline(config.late.from_share * last, color="0.5", linestyle="--")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Parse the arguments, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="folder with the two tables")
    parser.add_argument("--config", required=True, help="name of a configuration, or a file")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    arguments = parser.parse_args()
    config = read_settings(find_config(arguments.config), TrainConfig)
    draw(arguments.run, config).savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
