"""Pictures of some samples as a training goes on: input, output, back again, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.check import as_picture
from medcyclegan.training.data.types import TrainingData
from medcyclegan.training.engines.base import DIRECTIONS, Direction, source_of
from medcyclegan.training.sample import Sample, first_slab

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
