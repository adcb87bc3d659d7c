"""Validation of the averaged generators, in numbers and in pictures.

How good the averaged generators are: against the truth on pairs, else without a reference.
On pairs MAE, PSNR, SSIM and correlation, in the values that the output stands for (HU for CT) and
inside the body; without pairs the cycle error and the normalised mutual information of input and
output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from medcyclegan.core.task import Task, Window
from medcyclegan.evaluation.similarity import plane_ssim, psnr_db
from medcyclegan.imaging.mutual_information import (
    binned_by_edges,
    joint_histogram,
    normalised_mutual_information,
)
from medcyclegan.inference.sliding_slabs import translate
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.check import as_picture
from medcyclegan.training.data.types import Sample, TrainingData, ValidationCase, first_slab
from medcyclegan.training.engines.base import DIRECTIONS, Direction, source_of

SAMPLES = 3
# Cases looked through for samples: a validation may hold hundreds, prepared when asked for.
MOST_CASES = 64
CELL_INCHES, TITLE_INCHES, DOTS_PER_INCH = 1.9, 0.35, 100


@dataclass(frozen=True, eq=False)
class Row:
    """One sample through one direction; images (H, W) in [-1, 1] by their titles."""

    direction: Direction
    images: Mapping[str, Tensor]


def choose_samples(data: TrainingData, *, depth: int) -> list[Sample]:
    """The middle slabs of the first cases for validation, pairs or from each side the next one.

    Without cases of both sides, the first items of the training.
    """
    cases = list(islice(data.validation, MOST_CASES))
    pairs = [case for case in cases if case.paired and case.a is not None and case.b is not None]
    a = [case.a for case in pairs or cases if case.a is not None]
    b = [case.b for case in pairs or cases if case.b is not None]
    together = list(zip(a, b, strict=False))[:SAMPLES]
    if not together:
        return [first_slab(data.train[number]) for number in range(SAMPLES)]
    paired = torch.tensor(bool(pairs))
    return [Sample(_middle(one, depth), _middle(other, depth), paired) for one, other in together]


def make_rows(
    generators: Mapping[Direction, nn.Module], samples: Sequence[Sample], device: torch.device
) -> list[Row]:
    """Translate the samples, those of one direction after the other."""
    rows = []
    for way in DIRECTIONS:
        if way not in generators:
            continue
        back = generators.get("b-to-a" if way == "a-to-b" else "a-to-b")
        for sample in samples:
            one, other = (sample.a, sample.b) if way == "a-to-b" else (sample.b, sample.a)
            depth = one.shape[-3]
            with torch.inference_mode():
                fake = generators[way](_joined(one)[None].to(device))
                again = back(fake)[0].cpu() if back is not None else None
            images = {"input": _joined(one), "output": fake[0].cpu()}
            if again is not None:
                images["back again"] = again
            if bool(sample.paired):
                images["truth"] = _joined(other)
            # of several channels the first is shown
            rows.append(Row(way, {title: slab[depth // 2] for title, slab in images.items()}))
    return rows


def draw_panel(rows: Sequence[Row], config: TrainConfig, *, step: int) -> NDArray[np.uint8]:
    """Draw a row of grey images for each sample; (H, W, 3), 8 bit."""
    columns = max(len(row.images) for row in rows)
    size = (CELL_INCHES * columns, (CELL_INCHES + TITLE_INCHES) * len(rows) + TITLE_INCHES)
    figure = Figure(size, dpi=DOTS_PER_INCH, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(f"{config.name}, step {step}", color="white", fontsize=9)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        for axis in axes:
            axis.set_axis_off()
        for (title, image), axis in zip(row.images.items(), axes, strict=False):
            axis.imshow(
                as_picture(image), cmap="gray", vmin=-1.0, vmax=1.0, interpolation="nearest"
            )
            axis.set_title(_titled(title, row.direction, config), color="white", fontsize=7)
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.01, top=1.0 - 1.6 * TITLE_INCHES / size[1],
        wspace=0.03, hspace=TITLE_INCHES / CELL_INCHES,
    )  # fmt: skip
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib types but a part of itself
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _titled(title: str, direction: Direction, config: TrainConfig) -> str:
    source = config.data.domain(source_of(direction)).modality
    target = config.task(direction).target.modality
    names = {
        "input": f"{source} (input)",
        "output": f"synthetic {target}",
        "back again": f"back to {source}",
        "truth": f"true {target}",
    }
    return names[title]


def _joined(slab: Tensor) -> Tensor:
    """(C, depth, P, P) or (depth, P, P) -> (C * depth, P, P)."""
    return slab.flatten(0, 1) if slab.ndim == 4 else slab


def _middle(volume: Tensor, depth: int) -> Tensor:
    """The ``depth`` slices around the middle of (..., D, H, W), edges repeated where needed."""
    slices = volume.shape[-3]
    first = (slices - depth) // 2
    wanted = [min(max(first + n, 0), slices - 1) for n in range(depth)]
    return volume[..., wanted, :, :]


# Bins a side of the joint histogram for the mutual information.
BINS = 64
# What counts as bone.
BONE_HU = 250.0

# What is measured of a case, as ``Validation`` has it.
_FIGURES = ("mae", "psnr_db", "ssim", "correlation", "bone_dice", "cycle_mae", "nmi")

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Validation:
    """Mean figures of one direction over ``cases`` cases; NaN where there is nothing to compare.

    ``mae`` and ``cycle_mae`` are in ``unit`` (of the target, of the source). ``psnr_db`` and
    ``ssim`` take the width of the target's window as the range of values; ``ssim`` is of slices,
    7 x 7 pixels. ``correlation`` is Pearson's, of the voxels inside the body. ``nmi`` is between 1
    (independent) and 2 (one a function of the other). ``bone_dice`` is that of what lies above
    250 HU, for targets in HU. ``error`` is ``mae`` of pairs, or without pairs ``cycle_mae``, as a
    share of that range.
    """

    direction: Direction
    cases: int
    unit: str
    mae: float
    psnr_db: float
    ssim: float
    correlation: float
    bone_dice: float
    cycle_mae: float
    nmi: float
    error: float


def validate(
    generators: Mapping[Direction, nn.Module],
    cases: Sequence[ValidationCase],
    config: TrainConfig,
    device: torch.device,
) -> list[Validation]:
    """Validate every direction that there is a generator and a case for."""
    results = []
    for way in DIRECTIONS:
        chosen = _chosen(cases, way, config.validation_cases) if way in generators else []
        if chosen:
            results.append(_validate_one(generators, chosen, way, config, device))
    return results


def mean_error(results: Sequence[Validation]) -> float:
    """The one number that the best checkpoint is chosen by; lower is better."""
    return float(np.mean([result.error for result in results]))


def correlation(fake: Image, real: Image, mask: Mask) -> float:
    """Pearson's, of the voxels inside the mask; NaN where one of the images is constant."""
    x, y = (some[mask].astype(np.float64) for some in (fake, real))
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / spread) if spread > 0.0 else float("nan")


def _chosen(cases: Sequence[ValidationCase], way: Direction, most: int) -> list[ValidationCase]:
    """The first pairs, or if there are none the first cases with a source.

    Pairs come first in a validation, and cases are unpacked when they are asked for.
    """
    pairs: list[ValidationCase] = []
    singles: list[ValidationCase] = []
    for case in cases:
        if _image(case, source_of(way)) is not None:
            (pairs if case.paired else singles).append(case)
        if most in (len(pairs), len(singles)):
            break
    return pairs or singles


def _image(case: ValidationCase, side: str) -> Tensor | None:
    return case.a if side == "a" else case.b


def _validate_one(
    generators: Mapping[Direction, nn.Module],
    cases: Sequence[ValidationCase],
    way: Direction,
    config: TrainConfig,
    device: torch.device,
) -> Validation:
    back: Direction = "b-to-a" if way == "a-to-b" else "a-to-b"
    task, back_task = config.task(way), config.task(back)
    depth = config.data.depth
    rows = []
    for case in cases:
        source, target = _image(case, source_of(way)), _image(case, source_of(back))
        assert source is not None  # chosen by it
        mask = np.ones(source.shape[-3:], bool) if case.mask is None else case.mask.numpy()
        fake = translate(generators[way], source, depth=depth, device=device)
        row = {"nmi": _nmi(_by_channel(source)[0], _by_channel(fake)[0], mask)}
        if case.paired and target is not None:
            row |= _against_truth(fake, target, mask, task)
        elif back in generators:
            again = translate(generators[back], fake, depth=depth, device=device)
            row |= _cycle(again, source, mask, back_task.target_window)
        rows.append(row)
    mean = _means(rows)
    error = mean("mae") / _width(task.target_window)
    if np.isnan(error):
        error = mean("cycle_mae") / _width(back_task.target_window)
    figures = {name: mean(name) for name in _FIGURES}
    return Validation(direction=way, cases=len(rows), unit=task.target.unit, error=error, **figures)


def _means(rows: Sequence[Mapping[str, float]]) -> Callable[[str], float]:
    def mean(name: str) -> float:
        values = [row[name] for row in rows if name in row]
        return float(np.mean(values)) if values else float("nan")

    return mean


def _by_channel(values: Tensor) -> list[Tensor]:
    """(C, D, H, W), or (D, H, W) of one channel, as volumes (D, H, W)."""
    return list(values) if values.ndim == 4 else [values]


def _against_truth(fake: Tensor, real: Tensor, mask: Mask, task: Task) -> dict[str, float]:
    """Figures of a case, each the mean over the channels of the target."""
    pairs = zip(_by_channel(fake), _by_channel(real), strict=True)
    found = [_of_channel(one, other, mask, task) for one, other in pairs]
    return {name: float(np.mean([some[name] for some in found])) for name in found[0]}


def _of_channel(fake: Tensor, real: Tensor, mask: Mask, task: Task) -> dict[str, float]:
    window = task.target_window
    x, y = _physical(fake, window), _physical(real, window)
    width = _width(window)
    bones = (x > BONE_HU) & mask, (y > BONE_HU) & mask
    both = bones[0].sum() + bones[1].sum()
    bone = {}
    if task.target.unit == "HU" and both:  # without bone on either side there is nothing to share
        bone = {"bone_dice": float(2.0 * (bones[0] & bones[1]).sum() / both)}
    return bone | {
        "mae": float(np.abs(x - y)[mask].mean()),
        "psnr_db": psnr_db(x[mask], y[mask], data_range=width),
        "ssim": plane_ssim(x, y, mask, data_range=width),
        "correlation": correlation(x, y, mask),
    }


def _cycle(again: Tensor, source: Tensor, mask: Mask, window: Window) -> dict[str, float]:
    pairs = zip(_by_channel(again), _by_channel(source), strict=True)
    apart = [np.abs(_physical(x, window) - _physical(y, window))[mask].mean() for x, y in pairs]
    return {"cycle_mae": float(np.mean(apart))}


def _nmi(source: Tensor, fake: Tensor, mask: Mask) -> float:
    one, other = (binned_by_edges(values.numpy()[mask], BINS) for values in (source, fake))
    return normalised_mutual_information(joint_histogram(one, other, BINS))


def _physical(values: Tensor, window: Window) -> Image:
    """[-1, 1] -> the values it stands for, clipped to the window as an output is."""
    unit = (values.clamp(-1.0, 1.0).numpy() + 1.0) / 2.0
    return np.asarray(window.lower + unit * _width(window), dtype=np.float32)


def _width(window: Window) -> float:
    return window.upper - window.lower
