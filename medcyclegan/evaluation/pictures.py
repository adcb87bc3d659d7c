"""Pictures of a translation and of a registration: columns, windows, contact sheets.

Pictures of an MR and the synthetic CT made from it, for people to judge.
Drawn with matplotlib's object interface: no global state, no display needed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import check_same_grid
from medcyclegan.evaluation.views import View, choose_views, in_viewing_order, obliquity_degrees

# Level and width in HU, as radiology has them: brain and muscle apart; all of the skull.
SOFT_TISSUE = (40.0, 400.0)
BONE = (400.0, 2000.0)

# Beyond this the difference is saturated: bone that is missed altogether, or air for tissue.
DIFFERENCE_HU = 300.0
# Between a CT and what was made of it: noise of a low dose stays visible, edges stand out.
CHANGE_HU = 100.0


@dataclass(frozen=True)
class Names:
    """What the input and the output of a translation are called in pictures and reports."""

    source: str = "MR"
    made: str = "Synthetic CT"

    @property
    def research_use(self) -> str:
        """What every picture and report begins with."""
        return f"{self.made}: research use only"


NAMES = Names()


@dataclass(frozen=True)
class Column:
    """One image of the panel: voxels in viewing order, shown from ``low`` to ``high``.

    ``has_scale``: with a bar that tells how long 50 mm are.
    """

    title: str
    voxels: FloatVoxels
    low: float
    high: float
    unit: str
    colours: str = "gray"
    has_scale: bool = False


def columns_of(mr: Volume, sct: Volume, ct: Volume | None, names: Names) -> list[Column]:
    """Return the columns for an input, an output and, if there is one, the true CT.

    Raises
    ------
    InputRefused
        If the grids differ, or the true CT is not in HU.
    """
    check_same_grid(mr, sct, name=names.made)
    columns = [*_shown(names.source, mr), *_shown(names.made, sct)]
    if ct is not None:
        check_same_grid(mr, ct, name="True CT")
        if ct.unit != "HU":
            raise InputRefused(f"True CT in {ct.unit}", rule="its windows are in HU")
        title = "Synthetic - true CT"
        columns += [*_shown("True CT", ct), _difference(title, sct, ct, DIFFERENCE_HU)]
    elif mr.unit == sct.unit == "HU":
        columns.append(_difference("Output - input", sct, mr, CHANGE_HU))
    columns[0] = replace(columns[0], has_scale=True)
    return columns


def uncertainty_column(name: str, uncertainty: Volume, mr: Volume) -> Column:
    """Return the column of a map of uncertainty: in HU up to ``DIFFERENCE_HU``, else to its 99 %.

    Raises
    ------
    InputRefused
        If it is not on the grid of the input.
    """
    check_same_grid(mr, uncertainty, name=name)
    voxels = in_viewing_order(uncertainty)
    most = DIFFERENCE_HU
    if uncertainty.unit != "HU":
        most = max(float(np.percentile(voxels, 99.0)), 1e-6)
    title = f"{name}\n0 to {most:.3g} {uncertainty.unit}"
    return Column(title, voxels, 0.0, most, uncertainty.unit, "magma")


def _shown(name: str, image: Volume) -> list[Column]:
    """An image in two windows if it is in HU, else from its darkest to its brightest."""
    voxels = in_viewing_order(image)
    if image.unit != "HU":
        low, high = (float(p) for p in np.percentile(voxels, (0.5, 99.5)))
        return [Column(name, voxels, low, max(high, low + 1e-6), image.unit)]
    columns = []
    for window, (level, width) in (("soft tissue", SOFT_TISSUE), ("bone", BONE)):
        title = f"{name}, {window}\nW {width:.0f} L {level:.0f} HU"
        half = width / 2.0
        columns.append(Column(title, voxels, level - half, level + half, "HU"))
    return columns


def _difference(title: str, one: Volume, other: Volume, most_hu: float) -> Column:
    error = in_viewing_order(one) - in_viewing_order(other)
    title = f"{title}\n\N{PLUS-MINUS SIGN}{most_hu:.0f} HU"
    return Column(title, error, -most_hu, most_hu, "HU", "RdBu_r")


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


def panel_png(panel: Figure) -> bytes:
    """Return the figure of ``draw_panel`` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    panel.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_panel(
    *,
    mr: Volume,
    sct: Volume,
    ct: Volume | None = None,
    names: Names = NAMES,
    more: Sequence[Column] = (),
    body: Volume | None = None,
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
    body:
        Mask of the body on the same grid, sought in ``sct`` if it is None.

    Raises
    ------
    InputRefused
        If the grids differ, the true CT is not in HU, or no plane has 4 rows and 4 columns.
    """
    columns = [*columns_of(mr, sct, ct, names), *more]
    views = choose_views(sct, body)
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


def contact_sheet_png(rows: Sequence[Stages], *, titles: Sequence[str]) -> bytes:
    """A PNG file with a row for each image and a column for each stage; the first 12 rows."""
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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


_ALIGNED = Names("MR", "CT on the MR's grid")
# A tile shows a stretch of skull or skin that goes on in the next.
_TILE_MM = 25.0
# What edges of the CT are drawn around, in HU: skin and bone.
_SKIN_HU, _BONE_HU = -400.0, 300.0
# The MR under white edges is darkened to this.
_UNDER_EDGES = 0.65


def alignment_png(mr: Volume, before: Volume, after: Volume) -> bytes:
    """Return a PNG of five views: MR, CT, checkerboards and edges before and after.

    ``before`` and ``after`` are the CT (HU) on the grid of the MR by its header, and registered.
    """
    grey = _grey_of(mr)
    more = []
    for title, draw in (("Checkerboard of 25 mm", _checkered), ("Skin and bone of the CT", _edged)):
        for when, ct in (("before", before), ("after", after)):
            voxels = draw(grey, in_viewing_order(ct), _spacing_mm(mr))
            more.append(Column(f"{title}\n{when}", voxels, 0.0, 1.0, ""))
    return panel_png(draw_panel(mr=mr, sct=after, names=_ALIGNED, more=more))


def _grey_of(mr: Volume) -> FloatVoxels:
    """The MR in viewing order, from 0 to 1."""
    voxels = in_viewing_order(mr)
    low, high = np.percentile(voxels, (0.5, 99.5))
    shown = np.clip((voxels - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return np.asarray(shown, dtype=np.float32)


def _spacing_mm(mr: Volume) -> tuple[float, ...]:
    """Spacing along the axes of the viewing order."""
    order = np.abs(mr.geometry.directions_ras).argmax(axis=0)
    return tuple(
        mr.geometry.spacing_mm[int(np.flatnonzero(order == world)[0])] for world in range(3)
    )


def _checkered(grey: FloatVoxels, ct: FloatVoxels, spacing_mm: tuple[float, ...]) -> FloatVoxels:
    level, width = SOFT_TISSUE
    shown = np.clip((ct - level) / width + 0.5, 0.0, 1.0)
    tiles = [
        np.floor(np.arange(count) * mm / _TILE_MM).astype(int)
        for count, mm in zip(ct.shape, spacing_mm, strict=True)
    ]
    number = tiles[0][:, None, None] + tiles[1][:, None] + tiles[2]
    return np.where(number % 2 == 0, grey, shown).astype(np.float32)


def _edged(grey: FloatVoxels, ct: FloatVoxels, _: tuple[float, ...]) -> FloatVoxels:
    edges = _border(ct > _SKIN_HU) | _border(ct > _BONE_HU)
    return np.where(edges, 1.0, _UNDER_EDGES * grey).astype(np.float32)


def _border(inside: np.ndarray) -> np.ndarray:
    """Voxels inside that have a neighbour outside along some axis."""
    found = np.zeros_like(inside)
    for axis in range(3):
        here, there = np.moveaxis(inside, axis, 0), np.moveaxis(found, axis, 0)
        there[1:] |= here[1:] & ~here[:-1]
        there[:-1] |= here[:-1] & ~here[1:]
    return found
