"""Where errors lie: along the height of the body, and on a line through one patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from medcyclegan.evaluation.metrics import BONE_ABOVE_HU
from medcyclegan.evaluation.study.figures.style import (
    BONE,
    MARK_COLOUR,
    MINUS,
    REFERENCE_COLOUR,
    WIDE_MM,
    Drawn,
    colour,
    light_grid,
    line,
    new_figure,
)
from medcyclegan.evaluation.study.images import PatientImages
from medcyclegan.evaluation.study.measure import HEIGHTS_PERCENT, LEAST_SLICE_SHARE, Measured
from medcyclegan.evaluation.study.planes import MARGIN_MM, body_box, middle_view
from medcyclegan.evaluation.views import View, in_viewing_order
from medcyclegan.geometry import FloatArray
from medcyclegan.volume import FloatVoxels


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


def draw_profile(images: PatientImages, methods: Sequence[str], protocol: str) -> Drawn:
    """Draw HU along a line from right to left through the body, true and by every method."""
    view = middle_view(images.mask)
    ct, mask = (view.image(in_viewing_order(volume)) for volume in (images.ct, images.mask))
    row = _row_with_most_bone(ct, mask)
    figure = new_figure(WIDE_MM, 66.0)
    small, axes = figure.subplots(1, 2, width_ratios=(1.0, 2.6))
    _mark_row(small, images, view, row)
    light_grid(axes)
    place_mm = (np.arange(ct.shape[1]) + 0.5) * view.size_mm[1] / ct.shape[1]
    axes.plot(place_mm, ct[row], color=REFERENCE_COLOUR, linewidth=1.4, label="CT")
    for number, method in enumerate(methods):
        sct = view.image(in_viewing_order(images.scts[method]))
        axes.plot(
            place_mm, sct[row], color=colour(number), linestyle=line(number + 1),
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
        f"holds the most bone. Patient {images.case} has the median MAE (protocol {protocol}), "
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


def _mark_row(axes: Axes, images: PatientImages, view: View, row: int) -> None:
    ct = view.image(in_viewing_order(images.ct))
    height_mm, width_mm = view.size_mm
    level, width = BONE
    axes.imshow(
        ct, cmap="gray", vmin=level - width / 2.0, vmax=level + width / 2.0,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest",
    )  # fmt: skip
    left, right, bottom, top = body_box(images.mask, view)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axhline((row + 0.5) * height_mm / ct.shape[0], color=MARK_COLOUR, linewidth=1.0)
    axes.set_title(f"CT, {view.title}\nW {width:.0f} L {level:.0f} HU")
    axes.set_axis_off()
    for letter, x in ((view.left, 0.05), (view.right, 0.95)):
        axes.text(
            x, 0.97, letter, color=MARK_COLOUR, transform=axes.transAxes, ha="center", va="top",
            weight="bold",
        )  # fmt: skip
