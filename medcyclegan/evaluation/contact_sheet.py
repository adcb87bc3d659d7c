"""Images before and after enhancement, side by side, for people to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Beyond this many rows a sheet can no longer be looked at.
MOST_ROWS = 12
_LONGEST_SIDE = 700  # pixels of an image on the sheet; larger ones are thinned out
_INCHES = 3.2
_DOTS_PER_INCH = 110


@dataclass(frozen=True, eq=False)
class Stages:
    """One image, (rows, columns), as it was and after each step.

    ``window`` holds the values shown as black and white, the same for all.
    """

    name: str
    images: tuple[NDArray[np.floating], ...]
    window: tuple[float, float]


def save_contact_sheet(path: Path, rows: Sequence[Stages], *, titles: Sequence[str]) -> None:
    """Write a PNG with a row for each image and a column for each stage; the first 12 rows."""
    shown = rows[:MOST_ROWS]
    heights = [_INCHES * row.images[0].shape[0] / row.images[0].shape[1] for row in shown]
    figure = Figure(figsize=(_INCHES * len(titles), sum(heights) + 0.35 * len(shown)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(shown), len(titles), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for line, row in zip(axes, shown, strict=True):
        for axis, image, title in zip(line, row.images, titles, strict=True):
            step = max(1, -(-max(image.shape) // _LONGEST_SIDE))
            low, high = row.window
            axis.imshow(image[::step, ::step], cmap="gray", vmin=low, vmax=high)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
        line[0].set_title(f"{row.name}: {titles[0]}", fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)
