"""Figures of patients: best, median and worst, and where errors lie.

What is shown of a patient are planes, cut out of its voxels in one reading: so the voxels of one
patient are held at a time, however many patients and methods a figure shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcyclegan.core.geometry import FloatArray
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.metrics import BONE_ABOVE_HU
from medcyclegan.evaluation.study.figure_style import (
    BONE,
    MARK_COLOUR,
    MINUS,
    MM_PER_INCH,
    REFERENCE_COLOUR,
    SOFT_TISSUE,
    WIDE_MM,
    Drawn,
    colour,
    light_grid,
    line,
    new_figure,
    plain,
)
from medcyclegan.evaluation.study.load import PatientImages
from medcyclegan.evaluation.study.statistics import HEIGHTS_PERCENT, LEAST_SLICE_SHARE, Measured
from medcyclegan.evaluation.views import View, in_viewing_order, view_through

SAGITTAL, CORONAL, AXIAL = 0, 1, 2

# Left, right, bottom and top of a part of a picture, in mm from its upper left corner.
Box = tuple[float, float, float, float]

# Air kept around the body, as skin at the very edge of a picture cannot be judged.
MARGIN_MM = 8.0

# Of the signal in the body: fat is a small and much the brightest part of it.
MR_PERCENTILES = (1.0, 97.0)


def body_views(mask: Volume) -> dict[int, View]:
    """The plane across each axis with the most of the body in it.

    For a head, that is the axial slice through its widest part and the sagittal one near the
    middle; it is the same for every method, and nobody chose it.
    """
    inside = in_viewing_order(mask) > 0
    found = {}
    for axis in (SAGITTAL, CORONAL, AXIAL):
        others = tuple(a for a in range(3) if a != axis)
        found[axis] = view_through(mask, axis=axis, index=int(np.argmax(inside.sum(axis=others))))
    return found


def middle_view(mask: Volume) -> View:
    """The axial plane in the middle of the body's height."""
    filled = np.flatnonzero((in_viewing_order(mask) > 0).any(axis=(0, 1)))
    return view_through(mask, axis=AXIAL, index=int(filled[len(filled) // 2]))


def _reach(filled: NDArray[np.bool_], size_mm: float) -> tuple[float, float]:
    step_mm = size_mm / filled.size
    inside = np.flatnonzero(filled)
    low, high = inside[0] * step_mm - MARGIN_MM, (inside[-1] + 1) * step_mm + MARGIN_MM
    return max(0.0, float(low)), min(size_mm, float(high))


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane through the images of a patient: pixels (rows, columns) of each.

    ``scts`` is by method, ``mr_range`` the signal that the MR is shown between, if there is one.
    """

    case: str
    view: View
    ct: FloatVoxels
    mask: FloatVoxels
    mr: FloatVoxels | None
    mr_range: tuple[float, float]
    scts: dict[str, FloatVoxels]

    @property
    def box(self) -> Box:
        """The box around the body, with a margin of air."""
        inside = np.asarray(self.mask > 0)
        top, bottom = _reach(np.any(inside, axis=1), self.view.size_mm[0])
        left, right = _reach(np.any(inside, axis=0), self.view.size_mm[1])
        return left, right, bottom, top


def cut(images: PatientImages, views: Sequence[View]) -> tuple[Plane, ...]:
    """Cut planes out of a patient's images, which can be let go of then."""
    mr_range = 0.0, 1.0
    if images.mr is not None:
        inside = images.mr.voxels[images.mask.voxels > 0]
        low, high = (float(p) for p in np.percentile(inside, MR_PERCENTILES))
        mr_range = low, max(high, low + 1e-6)
    return tuple(
        Plane(
            case=images.case,
            view=view,
            ct=view.image(in_viewing_order(images.ct)),
            mask=view.image(in_viewing_order(images.mask)),
            mr=None if images.mr is None else view.image(in_viewing_order(images.mr)),
            mr_range=mr_range,
            scts={m: view.image(in_viewing_order(sct)) for m, sct in images.scts.items()},
        )
        for view in views
    )


def draw_heights(results: Sequence[Measured], methods: Sequence[str], protocol: str) -> Drawn:
    """Draw mean absolute and mean error of axial slices against their place in the body."""
    figure = new_figure(WIDE_MM, 70.0)
    left, right = figure.subplots(1, 2, sharex=True)
    right.axhline(0.0, color=REFERENCE_COLOUR, linewidth=0.6)
    for number, method in enumerate(methods):
        of_method = [r for r in results if r.method == method]
        _band(left, np.array([r.height_mae_hu for r in of_method]), number, label=method)
        _band(right, np.array([r.height_bias_hu for r in of_method]), number, label=method)
    left.set_ylabel("Mean absolute error (HU)")
    left.set_ylim(bottom=0.0)
    right.set_ylabel(f"Mean error, sCT {MINUS} CT (HU)")
    for axes in (left, right):
        light_grid(axes)
        axes.set_xlim(0.0, 100.0)
        axes.set_xlabel("Height in the body (%, 0 lowest, 100 highest slice)")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "error_by_slice",
        "Error against slice position",
        "Error of axial slices inside the body against their position, scaled to the height of "
        "each patient's body in view; slices with less than "
        f"{100.0 * LEAST_SLICE_SHARE:.0f} % of the largest slice's voxels are left out. Lines: "
        f"mean over patients; bands: \N{PLUS-MINUS SIGN}1 SD. Body mask as in protocol {protocol}.",
        figure,
    )


def _band(axes: Axes, curves: FloatArray, number: int, *, label: str) -> None:
    """Draw the mean of curves (n, heights) with a band of one standard deviation."""
    mean = curves.mean(axis=0)
    axes.plot(
        HEIGHTS_PERCENT, mean, color=colour(number), linestyle=line(number),
        linewidth=1.2, label=label,
    )  # fmt: skip
    if len(curves) > 1:
        sd = curves.std(axis=0, ddof=1)
        axes.fill_between(
            HEIGHTS_PERCENT, mean - sd, mean + sd, color=colour(number), alpha=0.15, linewidth=0
        )


def draw_profile(plane: Plane, methods: Sequence[str], protocol: str) -> Drawn:
    """Draw HU along a line from right to left through a patient, true and by every method."""
    ct, mask, view = plane.ct, plane.mask, plane.view
    row = _row_with_most_bone(ct, mask)
    figure = new_figure(WIDE_MM, 66.0)
    small, axes = figure.subplots(1, 2, width_ratios=(1.0, 2.6))
    _mark_row(small, plane, row)
    light_grid(axes)
    place_mm = (np.arange(ct.shape[1]) + 0.5) * view.size_mm[1] / ct.shape[1]
    axes.plot(place_mm, ct[row], color=REFERENCE_COLOUR, linewidth=1.4, label="CT")
    for number, method in enumerate(methods):
        axes.plot(
            place_mm, plane.scts[method][row], color=colour(number), linestyle=line(number + 1),
            linewidth=1.0, label=method,
        )  # fmt: skip
    inside = np.flatnonzero(mask[row] > 0)
    axes.set_xlim(place_mm[inside[0]] - MARGIN_MM, place_mm[inside[-1]] + MARGIN_MM)
    axes.set_xlabel("Position along the line, from right (R) to left (L) (mm)")
    axes.set_ylabel("HU")
    figure.legend(loc="outside upper center", ncols=min(5, 1 + len(methods)))
    return Drawn(
        "profile",
        "Profile through the median patient",
        "HU along the line marked in the slice: in the middle of the body's height, where a line "
        f"holds the most bone. Patient {plane.case} has the median MAE (protocol {protocol}), "
        "averaged over the methods. Radiological convention.",
        figure,
    )


def _row_with_most_bone(ct: FloatVoxels, mask: FloatVoxels) -> int:
    """The row of a plane (rows, columns) that is shown; without bone the body's middle one."""
    bone = np.sum((ct > BONE_ABOVE_HU) & (mask > 0), axis=1)
    if bone.any():
        return int(np.argmax(bone))
    rows = np.flatnonzero(np.any(mask > 0, axis=1))
    return int(rows[len(rows) // 2])


def _mark_row(axes: Axes, plane: Plane, row: int) -> None:
    ct, view = plane.ct, plane.view
    height_mm, width_mm = view.size_mm
    level, width = BONE
    axes.imshow(
        ct, cmap="gray", vmin=level - width / 2.0, vmax=level + width / 2.0,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest",
    )  # fmt: skip
    left, right, bottom, top = plane.box
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axhline((row + 0.5) * height_mm / ct.shape[0], color=MARK_COLOUR, linewidth=1.0)
    axes.set_title(f"CT, {view.title}\nW {width:.0f} L {level:.0f} HU")
    axes.set_axis_off()
    for letter, x in ((view.left, 0.05), (view.right, 0.95)):
        axes.text(
            x, 0.97, letter, color=MARK_COLOUR, transform=axes.transAxes, ha="center", va="top",
            weight="bold",
        )  # fmt: skip


# Beyond this the difference is saturated: bone that is missed altogether, or air for tissue.
DIFFERENCE_HU = 300.0
DIFFERENCE_COLOURS = "RdBu_r"

SCALE_MM = 50.0
# As many letters of a patient's name as fit beside two rows.
CASE_CHARACTERS = 36

# Of the figure as printed: room for the patients' names, the titles, the scale, and between images.
LEFT_MM, TOP_MM, BOTTOM_MM, GAP_MM = 9.0, 8.5, 12.0, 1.5


@dataclass(frozen=True, eq=False)
class Shown:
    """One patient of the panel, in two planes: ``rank`` is what it stands for, as in ``Worst``."""

    rank: str
    mae_hu: float
    planes: tuple[Plane, ...]


@dataclass(frozen=True, eq=False)
class _Column:
    title: str
    pixels: FloatVoxels
    norm: Normalize
    colours: str = "gray"


def draw_panel(patients: Sequence[Shown], method: str, protocol: str, *, name: str) -> Drawn:
    """Draw an axial and a sagittal row for each patient: MR if there is one, sCT, CT, difference.

    Both CTs are shown in a soft tissue and in a bone window.
    """
    with_mr = any(plane.mr is not None for shown in patients for plane in shown.planes)
    heights = [_height(plane.box) for shown in patients for plane in shown.planes]
    figure, grid = _grid(heights, columns=5 + with_mr)
    for number, shown in enumerate(patients):
        rows = grid[2 * number : 2 * number + 2]
        for row_axes, plane in zip(rows, shown.planes, strict=True):
            drawn = _columns(plane, method, with_mr=with_mr)
            for axes, column in zip(row_axes, drawn, strict=True):
                _show(axes, column, plane)
            _scale_bar(row_axes[0], plane.box)
            for axes, column in zip(grid[0], drawn, strict=True):
                axes.set_title(column.title if column else "MR\n(a.u.)", fontsize=7, pad=3)
        _name(figure, shown, above=rows[0][0], below=rows[1][0])
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
    case = shown.planes[0].case
    if len(case) > CASE_CHARACTERS:
        case = f"{case[: CASE_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    middle = (above.get_position().y1 + below.get_position().y0) / 2.0
    figure.text(
        0.5 * LEFT_MM / WIDE_MM, middle,
        f"{shown.rank}: {plain(case)}\nMAE {shown.mae_hu:.1f} HU",
        rotation=90.0, ha="center", va="center", fontsize=7,
    )  # fmt: skip


def _columns(plane: Plane, method: str, *, with_mr: bool) -> list[_Column | None]:
    sct, ct = plane.scts[method], plane.ct
    columns: list[_Column | None] = []
    if with_mr:
        norm = Normalize(*plane.mr_range)
        columns.append(None if plane.mr is None else _Column("MR\n(a.u.)", plane.mr, norm))
    for level, width in (SOFT_TISSUE, BONE):
        norm = Normalize(level - width / 2.0, level + width / 2.0)
        window = f"W {width:.0f} L {level:.0f}"
        columns += [_Column(f"sCT\n{window}", sct, norm), _Column(f"CT\n{window}", ct, norm)]
    norm = Normalize(-DIFFERENCE_HU, DIFFERENCE_HU)
    columns.append(_Column(f"sCT {MINUS} CT\n(HU)", sct - ct, norm, DIFFERENCE_COLOURS))
    return columns


def _height(box: Box) -> float:
    """The height of a box in widths of it."""
    left, right, bottom, top = box
    return (bottom - top) / (right - left)


def _show(axes: Axes, column: _Column | None, plane: Plane) -> None:
    view, box = plane.view, plane.box
    axes.set(xticks=[], yticks=[], facecolor="black")
    for side in axes.spines.values():
        side.set_visible(False)
    if column is None:
        axes.text(0.5, 0.5, "no MR", color="white", ha="center", transform=axes.transAxes)
        return
    height_mm, width_mm = view.size_mm
    axes.imshow(
        column.pixels, cmap=column.colours, norm=column.norm,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest", aspect="equal",
    )  # fmt: skip
    axes.set(xlim=box[:2], ylim=box[2:])
    colour = "black" if column.colours == DIFFERENCE_COLOURS else MARK_COLOUR
    for letter, x, alignment in ((view.left, 0.03, "left"), (view.right, 0.97, "right")):
        axes.text(
            x, 0.97, letter, color=colour, ha=alignment, va="top", fontsize=6.5, weight="bold",
            transform=axes.transAxes,
        )  # fmt: skip


def _scale_bar(axes: Axes, box: Box) -> None:
    left, right, bottom, top = box
    start, level = left + 0.06 * (right - left), bottom - 0.05 * (bottom - top)
    axes.plot((start, start + SCALE_MM), (level, level), color=MARK_COLOUR, linewidth=1.3)
