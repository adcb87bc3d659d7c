"""Figures of a study of MRs or pictures: scores, and the best, median and worst patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.study.figure_patients import AXIAL, SAGITTAL, body_box, body_views
from medcyclegan.evaluation.study.figure_scores import draw_scores
from medcyclegan.evaluation.study.figure_style import MINUS, WIDE_MM, Drawn, new_figure, plain
from medcyclegan.evaluation.study.load import PatientImages
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
    for number, method in enumerate(methods, start=1):
        ranked = sorted(
            (result for result in results if result.method == method),
            key=lambda result: result.value("mae_percent"),
        )
        shown = [
            _Shown(rank, result, _images(request, patients, result))
            for rank, result in _ranks(ranked).items()
        ]
        name = f"patients_{number}_{re.sub(r'[^A-Za-z0-9]+', '_', method)}"
        yield _draw_panel(shown, request, method, name=name)


@dataclass(frozen=True, eq=False)
class _Shown:
    rank: str
    result: MeasuredSignal
    images: PatientImages


def _ranks(ranked: Sequence[MeasuredSignal]) -> dict[str, MeasuredSignal]:
    if len(ranked) == 1:
        return {"Only": ranked[0]}
    middle = {"Median": ranked[(len(ranked) - 1) // 2]} if len(ranked) > 2 else {}
    return {"Best": ranked[0], **middle, "Worst": ranked[-1]}


def _images(
    request: StudyRequest, patients: Sequence[Patient], result: MeasuredSignal
) -> PatientImages:
    patient = next(patient for patient in patients if patient.case == result.case)
    assert request.kind is not None  # the request is resolved
    return load_signals(patient, methods=(result.method,), kind=request.kind)


def _draw_panel(shown: Sequence[_Shown], request: StudyRequest, method: str, *, name: str) -> Drawn:
    rows = [(one, view) for one in shown for view in _views(one.images)]
    figure = new_figure(WIDE_MM, 12.0 + 52.0 * len(rows))
    panels = figure.subplots(len(rows), 3, squeeze=False)
    norm = Normalize(-DIFFERENCE_PERCENT, DIFFERENCE_PERCENT)
    intensities = request.intensities
    assert intensities is not None  # the request is resolved
    for line, (one, view) in zip(panels, rows, strict=True):
        scores, low = one.result.scores, intensities.low
        true, made = one.images.ct, one.images.scts[method]
        _show(line[0], true, view, Normalize(low, scores.ref_high))
        _show(line[1], made, view, Normalize(low, scores.pred_high))
        error = 100.0 * (
            (made.voxels - low) / (scores.pred_high - low)
            - (true.voxels - low) / (scores.ref_high - low)
        )
        _show(line[2], true.with_voxels(error.astype(np.float32)), view, norm, DIFFERENCE_COLOURS)
        case = one.images.case if len(one.images.case) < 30 else f"{one.images.case[:29]}\u2026"
        line[0].set_ylabel(f"{one.rank}: {plain(case)}\nMAE {scores.mae_percent:.1f} %", fontsize=7)
        left, right, bottom, top = body_box(one.images.mask, view)
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


def _views(images: PatientImages) -> list[View]:
    """The axial and the sagittal plane with the most of the body; of a picture the one there is."""
    views = body_views(images.mask)
    shape = in_viewing_order(images.mask).shape
    return [
        views[axis]
        for axis in (AXIAL, SAGITTAL)
        if min(n for a, n in enumerate(shape) if a != axis) >= LEAST_VOXELS
    ] or [views[int(np.argmin(shape))]]


def _show(axes: Axes, image: Volume, view: View, norm: Normalize, colours: str = "gray") -> None:
    height_mm, width_mm = view.size_mm
    axes.imshow(
        view.image(in_viewing_order(image)), cmap=colours, norm=norm,
        extent=(0.0, width_mm, height_mm, 0.0), interpolation="nearest", aspect="equal",
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
