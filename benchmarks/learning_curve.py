"""Score the checkpoints of a training on simulated slabs of other heads, and draw the curve.

    python -m benchmarks.learning_curve --labels LABELMAPS --heads 13 14 --config head_mr_ct \
        --losses RUN/metrics.csv --out DIR CHECKPOINT [CHECKPOINT ...]

A training keeps but its last checkpoint, ``last.pt``: copy it aside while it runs. The moving
average of each is scored on the same slabs: mean absolute error in HU over whole patches, as the
loss of the training counts it, and the Dice of what lies above 250 HU. ``curve.csv`` and
``curve.png`` go to DIR; the picture shows the training's own error beside it, and by a dotted line
where the learning rate begins to fall.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.heads import read_head
from medcyclegan.networks.factory import make_generator
from medcyclegan.training.checkpoint import read_checkpoint
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import SimulatedData, SimulatedSlabs
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.transforms.scaling import WindowScaling
from medcyclegan.translator import run_slab

BONE_HU = 250.0
# Rows of the training's log that are averaged for a point of the picture.
ROWS_A_POINT = 10

# Source and target, each (2, depth, P, P) in [-1, 1].
Slabs = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Point:
    """What a checkpoint scored."""

    step: int
    mae_hu: float
    dice_bone: float


def score_checkpoint(path: Path, config: TrainConfig, slabs: Sequence[Slabs]) -> Point:
    """Score the averaged weights of a checkpoint."""
    content, device = read_checkpoint(path), torch.device("cpu")
    network = make_generator(config.generator, depth=config.data.depth).eval()
    network.load_state_dict(content["averages"]["a-to-b"])
    in_hu = WindowScaling(config.task("a-to-b").target_window).inverse
    error = shared = both = 0.0
    for source, target in slabs:
        made_hu = in_hu(torch.stack([run_slab(network, slab, device=device) for slab in source]))
        true_hu = in_hu(target)
        error += float((made_hu - true_hu).abs().mean())
        made_bone, true_bone = made_hu > BONE_HU, true_hu > BONE_HU
        shared += float((made_bone & true_bone).sum())
        both += float(made_bone.sum() + true_bone.sum())
    return Point(content["step"], error / len(slabs), 2.0 * shared / both)


def draw(points: Sequence[Point], losses: Path, config: TrainConfig) -> Figure:
    """Draw error and Dice by step, and the training's own error beside them."""
    with losses.open(newline="") as file:
        logged = [(int(row["step"]), float(row["l1"])) for row in csv.DictReader(file)]
    window = config.task("a-to-b").target_window
    hu_a_unit = (window.upper - window.lower) / 2.0
    parts = [logged[n : n + ROWS_A_POINT] for n in range(0, len(logged), ROWS_A_POINT)]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    errors, overlaps = figure.subplots(1, 2)
    errors.plot(
        [part[-1][0] for part in parts],
        [hu_a_unit * sum(l1 for _, l1 in part) / len(part) for part in parts],
        color="0.7",
        label="training, weights of the moment",
    )
    steps, maes = [point.step for point in points], [point.mae_hu for point in points]
    errors.plot(steps, maes, "o-", label="other heads, averaged weights")
    # the first steps of a training are far above all that follows
    errors.set(
        xlabel="step",
        ylabel="mean absolute error, HU",
        ylim=(0.9 * min(maes), 1.6 * max(maes)),
    )
    errors.legend(frameon=False)
    overlaps.plot(steps, [p.dice_bone for p in points], "o-")
    overlaps.set(xlabel="step", ylabel="Dice above 250 HU, other heads")
    for axes in (errors, overlaps):
        axes.locator_params(axis="x", nbins=5)
        axes.axvline(config.decay_from * config.steps, color="0.5", linestyle=":")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Parse the arguments, score, write, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--heads", type=int, nargs="+", required=True, help="counted from 1")
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    parser.add_argument("--config", required=True, help="name of a configuration, or a file")
    parser.add_argument("--losses", type=Path, required=True, help="metrics.csv of the training")
    parser.add_argument("--items", type=int, default=60, help="slabs to score on")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = read_settings(find_config(arguments.config), TrainConfig)
    assert isinstance(config.data, SimulatedData)
    heads = [
        read_head(arguments.labels, number, prepared=arguments.prepared)
        for number in arguments.heads
    ]
    drawn = SimulatedSlabs(heads, config.data, seed=config.seed)
    slabs = [(item.a, item.b) for item in (drawn[n] for n in range(arguments.items))]
    points = [score_checkpoint(path, config, slabs) for path in arguments.checkpoints]
    points.sort(key=lambda point: point.step)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(points[0])))
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)
    for point in points:
        print(f"| {point.step} | {point.mae_hu:.1f} | {point.dice_bone:.3f} |")
    draw(points, arguments.losses, config).savefig(arguments.out / "curve.png", dpi=110)


if __name__ == "__main__":
    main()
