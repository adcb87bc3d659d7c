"""Figures of a study of MRs or pictures: scores, and the best, median and worst patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.study.figure_patients import AXIAL, SAGITTAL, Plane, body_views, cut
from medcyclegan.evaluation.study.figure_scores import draw_scores
from medcyclegan.evaluation.study.figure_style import MINUS, WIDE_MM, Drawn, new_figure, plain
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.evaluation.study.score_columns import SIGNAL_METRICS
from medcyclegan.evaluation.study.signals import NAMES, MeasuredSignal, load_signals
from medcyclegan.evaluation.views import LEAST_VOXELS, View, in_viewing_order

# In percent of the range of intensities.
DIFFERENCE_PERCENT = 50.0
DIFFERENCE_COLOURS = "RdBu_r"


def draw_signals(
    request: StudyRequest, patients: Sequence[Patient], results: Sequence[MeasuredSignal]
) -> Iterator[Drawn]:
    """Yield the figures; call and save inside ``style.drawing()``."""
    scored = {result.method for result in results}
    methods = [method.name for method in request.methods if method.name in scored]
    protocol = results[0].scores.protocol
    yield draw_scores(results, methods, protocol, metrics=SIGNAL_METRICS)
    panels = {method: _ranked(results, method) for method in methods}
    planes = _planes(request, patients, panels)
    for number, method in enumerate(methods, start=1):
        shown = [_Shown(rank, r, planes[r.case]) for rank, r in panels[method].items()]
        name = f"patients_{number}_{re.sub(r'[^A-Za-z0-9]+', '_', method)}"
        yield _draw_panel(shown, request, method, name=name)


@dataclass(frozen=True, eq=False)
class _Shown:
    rank: str
    result: MeasuredSignal
    planes: tuple[Plane, ...]


def _ranked(results: Sequence[MeasuredSignal], method: str) -> dict[str, MeasuredSignal]:
    """The patients of a method that stand for the others, by what they stand for."""
    ranked = sorted(
        (result for result in results if result.method == method),
        key=lambda result: result.value("mae_percent"),
    )
    if len(ranked) == 1:
        return {"Only": ranked[0]}
    middle = {"Median": ranked[(len(ranked) - 1) // 2]} if len(ranked) > 2 else {}
    return {"Best": ranked[0], **middle, "Worst": ranked[-1]}


def _planes(
    request: StudyRequest,
    patients: Sequence[Patient],
    panels: Mapping[str, Mapping[str, MeasuredSignal]],
) -> dict[str, tuple[Plane, ...]]:
    """Read the images of the patients that are shown, each patient's once; planes by case."""
    assert request.kind is not None  # the request is resolved
    methods: dict[str, tuple[str, ...]] = {}
    for method, ranked in panels.items():
        for result in ranked.values():
            methods[result.case] = (*methods.get(result.case, ()), method)
    planes = {}
    for patient in patients:
        if patient.case in methods:
            images = load_signals(patient, methods=methods[patient.case], kind=request.kind)
            planes[patient.case] = cut(images, _views(images.mask))
    return planes


def _draw_panel(shown: Sequence[_Shown], request: StudyRequest, method: str, *, name: str) -> Drawn:
    rows = [(one, plane) for one in shown for plane in one.planes]
    figure = new_figure(WIDE_MM, 12.0 + 52.0 * len(rows))
    panels = figure.subplots(len(rows), 3, squeeze=False)
    norm = Normalize(-DIFFERENCE_PERCENT, DIFFERENCE_PERCENT)
    intensities = request.intensities
    assert intensities is not None  # the request is resolved
    for line, (one, plane) in zip(panels, rows, strict=True):
        scores, low = one.result.scores, intensities.low
        true, made = plane.ct, plane.scts[method]
        _show(line[0], true, plane, Normalize(low, scores.ref_high))
        _show(line[1], made, plane, Normalize(low, scores.pred_high))
        error = 100.0 * (
            (made - low) / (scores.pred_high - low) - (true - low) / (scores.ref_high - low)
        )
        _show(line[2], error.astype(np.float32), plane, norm, DIFFERENCE_COLOURS)
        case = plane.case if len(plane.case) < 30 else f"{plane.case[:29]}\u2026"
        line[0].set_ylabel(f"{one.rank}: {plain(case)}\nMAE {scores.mae_percent:.1f} %", fontsize=7)
        left, right, bottom, top = plane.box
        for axes in line:
            axes.set(xlim=(left, right), ylim=(bottom, top))
    for axes, title in zip(
        panels[0], ("True", method, f"{method} {MINUS} true\n(% of the range)"), strict=True
    ):
        axes.set_title(title)
    figure.colorbar(
        ScalarMappable(norm, DIFFERENCE_COLOURS), ax=list(panels[:, 2]), extend="both", shrink=0.6
    )
    what = NAMES[request.kind or "mr"]
    return Drawn(
        name,
        f"Best, median and worst {what}, {method}",
        f"The {what}s of {method} with the least, the median and the largest mean absolute error. "
        f"Both images are shown within the range of the scores: {intensities.text}. Difference in "
        f"percent of it, saturated at \N{PLUS-MINUS SIGN}{DIFFERENCE_PERCENT:.0f} %."
        + ("" if request.kind == "picture" else " Right (R) is at the image's left."),
        figure,
    )


def _views(mask: Volume) -> list[View]:
    """The axial and the sagittal plane with the most of the body; of a picture the one there is."""
    views = body_views(mask)
    shape = in_viewing_order(mask).shape
    return [
        views[axis]
        for axis in (AXIAL, SAGITTAL)
        if min(n for a, n in enumerate(shape) if a != axis) >= LEAST_VOXELS
    ] or [views[int(np.argmin(shape))]]


def _show(
    axes: Axes, image: FloatVoxels, plane: Plane, norm: Normalize, colours: str = "gray"
) -> None:
    height_mm, width_mm = plane.view.size_mm
    axes.imshow(
        image, cmap=colours, norm=norm,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest", aspect="equal",
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
