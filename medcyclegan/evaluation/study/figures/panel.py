"""The best, the median and the worst patient of a method, as pictures for radiological eyes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from medcyclegan.evaluation.study.figures.style import (
    BONE,
    MARK_COLOUR,
    MINUS,
    MM_PER_INCH,
    SOFT_TISSUE,
    WIDE_MM,
    Drawn,
    plain,
)
from medcyclegan.evaluation.study.images import PatientImages
from medcyclegan.evaluation.study.planes import AXIAL, SAGITTAL, Box, body_box, body_views
from medcyclegan.evaluation.views import View, in_viewing_order
from medcyclegan.volume import FloatVoxels, Volume

# Beyond this the difference is saturated: bone that is missed altogether, or air for tissue.
DIFFERENCE_HU = 300.0
DIFFERENCE_COLOURS = "RdBu_r"

# Of the signal in the body: fat is a small and much the brightest part of it.
MR_PERCENTILES = (1.0, 97.0)

SCALE_MM = 50.0
# As many letters of a patient's name as fit beside two rows.
CASE_CHARACTERS = 36

# Of the figure as printed: room for the patients' names, the titles, the scale, and between images.
LEFT_MM, TOP_MM, BOTTOM_MM, GAP_MM = 9.0, 8.5, 12.0, 1.5


@dataclass(frozen=True, eq=False)
class Shown:
    """One patient of the panel: ``rank`` is what it stands for, as in ``Worst``."""

    rank: str
    mae_hu: float
    images: PatientImages


@dataclass(frozen=True)
class _Column:
    title: str
    volume: Volume
    norm: Normalize
    colours: str = "gray"


def draw_panel(patients: Sequence[Shown], method: str, protocol: str, *, name: str) -> Drawn:
    """Draw an axial and a sagittal row for each patient: MR if there is one, sCT, CT, difference.

    Both CTs are shown in a soft tissue and in a bone window.
    """
    with_mr = any(shown.images.mr is not None for shown in patients)
    crops = [list(_crops(shown.images)) for shown in patients]
    heights = [view_mm[0] / view_mm[1] for rows in crops for _, _, view_mm in rows]
    figure, grid = _grid(heights, columns=5 + with_mr)
    for number, (shown, rows) in enumerate(zip(patients, crops, strict=True)):
        drawn = _columns(shown.images, method, with_mr=with_mr)
        for line, (view, box, _) in zip(grid[2 * number :], rows, strict=False):
            for axes, column in zip(line, drawn, strict=True):
                _show(axes, column, view, box)
            _scale_bar(line[0], box)
        for axes, column in zip(grid[0], drawn, strict=True):
            axes.set_title(column.title if column else "MR\n(a.u.)", fontsize=7, pad=3)
        _name(figure, shown, above=grid[2 * number][0], below=grid[2 * number + 1][0])
    return Drawn(
        name,
        f"Best, median and worst patient, {method}",
        f"Patients of {method} with the least, the median and the largest MAE (protocol "
        f"{protocol}): the axial and the sagittal plane with the most of the body in it. "
        "Radiological convention: the patient's right (R) is at the image's left. Window width "
        f"(W) and level (L) in HU; difference: sCT {MINUS} CT, saturated at \N{PLUS-MINUS SIGN}"
        f"{DIFFERENCE_HU:.0f} HU; bar: {SCALE_MM:.0f} mm. The synthetic CT is no acquired image.",
        figure,
    )


def _grid(heights: Sequence[float], *, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Place rows of the given heights, in widths of a column, and below them the scale.

    By hand: a layout that makes room by itself takes many seconds for so many axes.
    """
    cell_mm = (WIDE_MM - LEFT_MM - GAP_MM * (columns - 1)) / columns
    height_mm = TOP_MM + BOTTOM_MM + sum(GAP_MM + cell_mm * height for height in heights)
    figure = Figure((WIDE_MM / MM_PER_INCH, height_mm / MM_PER_INCH))
    FigureCanvasAgg(figure)

    def place(left: float, top: float, width: float, height: float) -> Axes:
        bottom = height_mm - top - height
        return figure.add_axes(
            (left / WIDE_MM, bottom / height_mm, width / WIDE_MM, height / height_mm)
        )

    rows, top = [], TOP_MM
    for height in heights:
        lefts = [LEFT_MM + number * (cell_mm + GAP_MM) for number in range(columns)]
        rows.append([place(left, top, cell_mm, cell_mm * height) for left in lefts])
        top += cell_mm * height + GAP_MM
    scale = place(lefts[-1] + 0.1 * cell_mm, top + 1.0, 0.8 * cell_mm, 2.2)
    norm = Normalize(-DIFFERENCE_HU, DIFFERENCE_HU)
    bar = figure.colorbar(
        ScalarMappable(norm, DIFFERENCE_COLOURS), cax=scale, orientation="horizontal", extend="both"
    )
    bar.set_ticks([-DIFFERENCE_HU, 0.0, DIFFERENCE_HU])
    bar.set_label("HU", labelpad=1)
    return figure, rows


def _name(figure: Figure, shown: Shown, *, above: Axes, below: Axes) -> None:
    """Write which patient it is along the left side of its two rows."""
    case = shown.images.case
    if len(case) > CASE_CHARACTERS:
        case = f"{case[: CASE_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    middle = (above.get_position().y1 + below.get_position().y0) / 2.0
    figure.text(
        0.5 * LEFT_MM / WIDE_MM, middle,
        f"{shown.rank}: {plain(case)}\nMAE {shown.mae_hu:.1f} HU",
        rotation=90.0, ha="center", va="center", fontsize=7,
    )  # fmt: skip


def _columns(images: PatientImages, method: str, *, with_mr: bool) -> list[_Column | None]:
    sct, ct = images.scts[method], images.ct
    columns: list[_Column | None] = []
    if with_mr:
        columns.append(_mr_column(images.mr, images.mask) if images.mr else None)
    for level, width in (SOFT_TISSUE, BONE):
        norm = Normalize(level - width / 2.0, level + width / 2.0)
        window = f"W {width:.0f} L {level:.0f}"
        columns += [_Column(f"sCT\n{window}", sct, norm), _Column(f"CT\n{window}", ct, norm)]
    error = ct.with_voxels(sct.voxels - ct.voxels)
    norm = Normalize(-DIFFERENCE_HU, DIFFERENCE_HU)
    columns.append(_Column(f"sCT {MINUS} CT\n(HU)", error, norm, DIFFERENCE_COLOURS))
    return columns


def _mr_column(mr: Volume, mask: Volume) -> _Column:
    inside = mr.voxels[mask.voxels > 0]
    low, high = (float(p) for p in np.percentile(inside, MR_PERCENTILES))
    return _Column("MR\n(a.u.)", mr, Normalize(low, max(high, low + 1e-6)))


def _crops(images: PatientImages) -> Iterator[tuple[View, Box, tuple[float, float]]]:
    """The two views, each with the box around the body and its height and width in mm."""
    views = body_views(images.mask)
    for axis in (AXIAL, SAGITTAL):
        left, right, bottom, top = body_box(images.mask, views[axis])
        yield views[axis], (left, right, bottom, top), (bottom - top, right - left)


def _show(axes: Axes, column: _Column | None, view: View, box: Box) -> None:
    axes.set(xticks=[], yticks=[], facecolor="black")
    for side in axes.spines.values():
        side.set_visible(False)
    if column is None:
        axes.text(0.5, 0.5, "no MR", color="white", ha="center", transform=axes.transAxes)
        return
    height_mm, width_mm = view.size_mm
    axes.imshow(
        _plane(view, column.volume), cmap=column.colours, norm=column.norm,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest", aspect="equal",
    )  # fmt: skip
    axes.set(xlim=box[:2], ylim=box[2:])
    colour = "black" if column.colours == DIFFERENCE_COLOURS else MARK_COLOUR
    for letter, x, alignment in ((view.left, 0.03, "left"), (view.right, 0.97, "right")):
        axes.text(
            x, 0.97, letter, color=colour, ha=alignment, va="top", fontsize=6.5, weight="bold",
            transform=axes.transAxes,
        )  # fmt: skip


def _plane(view: View, volume: Volume) -> FloatVoxels:
    return view.image(in_viewing_order(volume))


def _scale_bar(axes: Axes, box: Box) -> None:
    left, right, bottom, top = box
    start, level = left + 0.06 * (right - left), bottom - 0.05 * (bottom - top)
    axes.plot((start, start + SCALE_MM), (level, level), color=MARK_COLOUR, linewidth=1.3)
