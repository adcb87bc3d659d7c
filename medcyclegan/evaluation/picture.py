"""Pictures of an MR and the synthetic CT made from it, for people to judge.

Drawn with matplotlib's object interface: no global state, no display needed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from medcyclegan.evaluation.columns import NAMES, Column, Names, columns_of
from medcyclegan.evaluation.views import View, choose_views, obliquity_degrees
from medcyclegan.volume import Volume

RESEARCH_USE = NAMES.research_use

# Angles below a degree change nothing that the eye could see in a picture.
OBLIQUE_FROM_DEGREES = 1.0

# The layout in inches: images this wide at most, and bands around each for titles and letters.
IMAGE_WIDTH = 2.4
HEADER, GUTTER, ABOVE, BELOW, BAR = 0.7, 0.16, 0.24, 0.16, 0.45
DOTS_PER_INCH = 110

SCALE_MM = 50.0


class _Page:
    """A figure on which things are placed in inches from the upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure((width, height), dpi=DOTS_PER_INCH, facecolor="black")
        FigureCanvasAgg(self.figure)
        self._width, self._height = width, height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self._height - top - height
        w, h = self._width, self._height
        return self.figure.add_axes((left / w, bottom / h, width / w, height / h))

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        style = {"color": "white", "fontsize": 8, **style}
        self.figure.text(left / self._width, 1.0 - top / self._height, text, **style)


def save_panel(to: Path, *, mr: Volume, sct: Volume, ct: Volume | None = None) -> None:
    """Write the picture of ``draw_panel`` as PNG."""
    to.write_bytes(panel_png(mr=mr, sct=sct, ct=ct))


def panel_png(
    *,
    mr: Volume,
    sct: Volume,
    ct: Volume | None = None,
    names: Names = NAMES,
    more: Sequence[Column] = (),
) -> bytes:
    """Return the picture of ``draw_panel`` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    panel = draw_panel(mr=mr, sct=sct, ct=ct, names=names, more=more)
    panel.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_panel(
    *,
    mr: Volume,
    sct: Volume,
    ct: Volume | None = None,
    names: Names = NAMES,
    more: Sequence[Column] = (),
) -> Figure:
    """Draw axial, coronal and sagittal views: a row for each view, a column for each image.

    The columns are the MR, the synthetic CT in a soft tissue and in a bone window, and, where the
    true CT is given, that in both windows and the difference. Of other translations: the input and
    the output, and their difference where both are in HU. Radiological convention, correct
    proportions for unequal spacing; any axis order and obliquity, with the planes of the grid.

    Parameters
    ----------
    mr, sct, ct:
        The input, the output and the true CT, on one grid; images in HU are shown as CT.
    names:
        What input and output are called.
    more:
        Columns to the right of these, as of a map of uncertainty.

    Raises
    ------
    InputRefused
        If the grids differ, the true CT is not in HU, or no plane has 4 rows and 4 columns.
    """
    columns = [*columns_of(mr, sct, ct, names), *more]
    views = choose_views(sct)
    inch_per_mm = IMAGE_WIDTH / max(view.size_mm[1] for view in views)
    heights = [ABOVE + view.size_mm[0] * inch_per_mm + BELOW for view in views]
    pitch = IMAGE_WIDTH + 2.0 * GUTTER
    page = _Page(pitch * len(columns), HEADER + sum(heights) + BAR)
    for number, column in enumerate(columns):
        centre, top = (number + 0.5) * pitch, HEADER
        page.text(centre, 0.28, column.title, ha="center", va="top")
        for view, height in zip(views, heights, strict=True):
            _draw_view(page, view, column, (centre, top, inch_per_mm))
            top += height
        _draw_bar(page, column, centre, top)
    top = HEADER
    for view, height in zip(views, heights, strict=True):
        page.text(GUTTER, top + ABOVE / 2.0, view.title, va="center")
        top += height
    _draw_header(page, sct, names, width=pitch * len(columns))
    return page.figure


def _draw_view(page: _Page, view: View, column: Column, place: tuple[float, float, float]) -> None:
    """Draw one image, ``place`` being centre and top in inches, and inches per millimetre."""
    centre, top, inch_per_mm = place
    height_mm, width_mm = view.size_mm
    height, width = height_mm * inch_per_mm, width_mm * inch_per_mm
    left, top = centre - width / 2.0, top + ABOVE
    axes = page.axes(left, top, width, height)
    axes.imshow(
        view.image(column.voxels),
        cmap=column.colours,
        norm=Normalize(column.low, column.high),
        extent=(0.0, width_mm, height_mm, 0.0),
        aspect="auto",
    )
    axes.set_axis_off()
    middle = top + height / 2.0
    for letter, x, y in (
        (view.left, left - GUTTER / 2.0, middle),
        (view.right, left + width + GUTTER / 2.0, middle),
        (view.top, centre, top - GUTTER / 2.0),
        (view.bottom, centre, top + height + GUTTER / 2.0),
    ):
        page.text(x, y, letter, color="gold", ha="center", va="center")
    if width_mm > 2.0 * SCALE_MM and column.has_scale:
        end, level = 0.03 * width_mm + SCALE_MM, 0.97 * height_mm
        axes.plot((end - SCALE_MM, end), (level, level), color="gold", linewidth=1.5)
        axes.text(end, level, f" {SCALE_MM:.0f} mm", color="gold", fontsize=6, va="center")
        axes.axis((0.0, width_mm, height_mm, 0.0))


def _draw_bar(page: _Page, column: Column, centre: float, top: float) -> None:
    axes = page.axes(centre - 0.4 * IMAGE_WIDTH, top + 0.02, 0.8 * IMAGE_WIDTH, 0.11)
    low, high = column.low, column.high
    ramp = np.linspace(low, high, 256)[np.newaxis]
    axes.imshow(ramp, cmap=column.colours, aspect="auto", extent=(low, high, 0.0, 1.0))
    axes.set_yticks([])
    ticks = (low, (low + high) / 2.0, high)
    digits = 0 if high - low >= 20.0 else 2
    axes.set_xticks(ticks, [f"{tick:.{digits}f}" for tick in ticks])
    axes.tick_params(colors="white", labelsize=7, length=2)
    page.text(centre + 0.44 * IMAGE_WIDTH, top + 0.08, column.unit, fontsize=7, va="center")


def _draw_header(page: _Page, sct: Volume, names: Names, *, width: float) -> None:
    page.text(GUTTER, 0.08, names.research_use, color="gold", weight="bold", va="top")
    angle = obliquity_degrees(sct)
    note = "R: patient's right"
    if angle >= OBLIQUE_FROM_DEGREES:
        note += f"; planes of the grid, {angle:.0f}\N{DEGREE SIGN} oblique"
    page.text(width - GUTTER, 0.08, note, fontsize=7, ha="right", va="top")
