"""What was found and what a training will see, for a look before hours are spent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.core.text import path_text
from medcyclegan.io.atomic import atomic_file
from medcyclegan.training.data.types import (
    DataSummary,
    Range,
    Sample,
    SideSummary,
    SimulatedSource,
    first_slab,
)

_INCHES = 1.6  # of a patch


def summary_table(summary: DataSummary | SimulatedSource) -> Table:
    """A table for rich: a row for each thing that was counted or measured, a column for a side."""
    table = Table(title="Training data")
    if isinstance(summary, SimulatedSource):
        table.add_column("simulated from label maps")
        table.add_column(str(summary.labels), overflow="fold")
        table.add_row("heads to train on", str(summary.heads))
        table.add_row("heads to validate with", str(summary.held_back_heads))
        return table
    table.add_column("")
    table.add_column("A", overflow="fold")
    table.add_column("B", overflow="fold")
    for (name, a), (_, b) in zip(_rows(summary.a), _rows(summary.b), strict=True):
        table.add_row(name, a, b)
    table.add_section()
    table.add_row("pairs to train on", str(summary.training_pairs), "")
    table.add_row("pairs to validate with", str(summary.validation_pairs), "")
    table.add_row("read in", f"{summary.seconds:.1f} s", "")
    return table


def draw_batch(
    slabs: Dataset[Sample], *, to: Path, first: int = 0, count: int = 8, overwrite: bool = False
) -> None:
    """Draw the middle slices of some items as a PNG: a row for A, a row for B, one a channel.

    Front, or head, is up; the patient's left is to the right, but where a slab was mirrored.
    """
    items = [first_slab(slabs[index]) for index in range(first, first + count)]
    columns = [
        [*_planes(f"A {number}", item.a), *_planes(f"B {number}", item.b)]
        for number, item in enumerate(items, start=first)
    ]
    rows = len(columns[0])
    # High enough for the titles above the rows, in inches.
    figure = Figure(figsize=(count * _INCHES, rows * (_INCHES + 0.25)), layout="constrained")
    axes = figure.subplots(rows, count, squeeze=False)
    for column, (item, planes) in enumerate(zip(items, columns, strict=True)):
        pair = ", pair" if bool(item.paired) else ""
        for row, (name, plane) in enumerate(planes):
            place = axes[row, column]
            place.imshow(as_picture(plane), cmap="gray", vmin=-1.0, vmax=1.0)
            place.set_title(f"{name}{pair}", fontsize=8)
            place.set_axis_off()
    with atomic_file(to, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def as_picture(plane: Tensor) -> NDArray[np.float32]:
    """Turn a slice (H, W) of the model grid into rows and columns as they are looked at.

    H and W count towards right, front or head; in a picture rows count down and, as radiologists
    look at patients, the right is on the left.
    """
    return np.asarray(plane.numpy().T[::-1, ::-1])


def _planes(name: str, slab: Tensor) -> list[tuple[str, Tensor]]:
    """The named middle slices of a slab, (depth, P, P) or (C, depth, P, P), one a channel."""
    middle = slab.shape[-3] // 2
    if slab.ndim == 3:
        return [(name, slab[middle])]
    numbered = enumerate(slab, start=1)
    return [(f"{name}, channel {number}", one[middle]) for number, one in numbered]


def _rows(side: SideSummary) -> list[tuple[str, str]]:
    return [
        ("place", path_text(str(side.folder))),
        ("layout", side.layout),
        ("channels", ", ".join(side.channels) or "one"),
        ("inputs", ", ".join(f"{count} {name}" for name, count in side.formats.items())),
        ("body masks", str(side.masks) if side.masks else "none: the body is found"),
        ("to train on", _count(side.training_inputs, side.training_subjects)),
        ("to validate with", _count(side.validation_inputs, side.validation_subjects)),
        ("voxels i, j, k", " x ".join(_range(part) for part in side.shape)),
        ("spacing in mm", " x ".join(_range(part) for part in side.spacing_mm)),
        ("values", f"{_range(side.values)} {side.unit}"),
    ]


def _count(inputs: int, subjects: int) -> str:
    return f"{inputs} of {subjects} subjects"


def _range(limits: Range) -> str:
    low, high = (f"{limit:.4g}" for limit in limits)
    return low if low == high else f"{low} to {high}"
