"""Scores of a cohort: their distributions, and the error of each tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from medcyclegan.evaluation.study.figures.style import (
    NARROW_MM,
    REFERENCE_COLOUR,
    WIDE_MM,
    Drawn,
    colour,
    light_grid,
    marker,
    new_figure,
    wrapped,
)
from medcyclegan.evaluation.study.measure import Measured
from medcyclegan.evaluation.study.statistics import (
    METRICS,
    Metric,
    mean_interval,
    metrics_of,
    value_of,
)
from medcyclegan.geometry import FloatArray
from medcyclegan.wording import counted

COLUMNS = 4
PANEL_HEIGHT_MM = 52.0

# A violin smooths; of fewer patients it would show the smoothing.
LEAST_FOR_VIOLIN = 20

TISSUES = ("mae_air_hu", "mae_soft_hu", "mae_bone_hu")
TISSUE_NAMES = ("Air\n(< \N{MINUS SIGN}400 HU)", "Soft tissue\n(\N{MINUS SIGN}150 to 150 HU)",
                "Bone\n(> 250 HU)")  # fmt: skip


def values(results: Sequence[Measured], method: str, metric: Metric) -> FloatArray:
    """The finite scores of a method (n,), in the order of the patients."""
    found = np.array([value_of(r.scores, metric) for r in results if r.method == method])
    return np.asarray(found[np.isfinite(found)])


def draw_scores(results: Sequence[Measured], methods: Sequence[str], protocol: str) -> Drawn:
    """Draw a panel for each score: boxes, every patient as a point, violins of many patients."""
    metrics = metrics_of(protocol)
    rows = math.ceil(len(metrics) / COLUMNS)
    figure = new_figure(WIDE_MM, PANEL_HEIGHT_MM * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, metric in zip(panels, metrics, strict=False):
        _boxes(axes, [values(results, method, metric) for method in methods])
        axes.set_title(metric.title)
        axes.set_xticks(range(len(methods)), [wrapped(name) for name in methods])
        if len(methods) > 3:
            axes.tick_params(axis="x", rotation=45)
        arrow = "\N{DOWNWARDS ARROW}" if metric.better == "lower" else "\N{UPWARDS ARROW}"
        axes.set_xlabel(f"{arrow} {metric.better} is better", color="#595959")
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    cases = counted(len({result.case for result in results}), "patient")
    return Drawn(
        "scores",
        "Scores by method",
        f"Scores inside the body, protocol {protocol}, {cases}. Boxes: quartiles with the "
        "median; whiskers: to the furthest patient within 1.5 interquartile ranges; points: "
        f"patients. Violins are drawn from {LEAST_FOR_VIOLIN} patients on.",
        figure,
    )


def _boxes(axes: Axes, samples: Sequence[FloatArray]) -> None:
    light_grid(axes)
    for number, sample in enumerate(samples):
        if not sample.size:
            continue
        if sample.size >= LEAST_FOR_VIOLIN and np.ptp(sample) > 0:
            axes.violinplot(
                [sample], positions=[number], widths=0.8, showextrema=False,
                facecolor=(colour(number), 0.25),
            )  # fmt: skip
        axes.boxplot(
            [sample], positions=[number], widths=0.45, showfliers=False,
            boxprops={"color": colour(number)}, whiskerprops={"color": colour(number)},
            capprops={"color": colour(number)},
            medianprops={"color": REFERENCE_COLOUR, "linewidth": 1.2},
        )  # fmt: skip
        axes.plot(
            number + spread(sample.size), sample, marker(number), color=colour(number),
            markersize=2.5, alpha=0.75, markeredgewidth=0,
        )  # fmt: skip
    axes.set_xlim(-0.6, len(samples) - 0.4)


def spread(count: int) -> FloatArray:
    """Sideways places (n,) that keep points apart, the same for the same patient everywhere."""
    golden = 0.618034  # multiples of it, taken modulo one, never bunch
    return np.asarray((np.arange(count) * golden % 1.0 - 0.5) * 0.3)


def draw_tissues(results: Sequence[Measured], methods: Sequence[str], protocol: str) -> Drawn:
    """Draw the mean absolute error by tissue, with the interval of the mean and every patient."""
    figure = new_figure(NARROW_MM, 70.0)
    axes = figure.subplots()
    light_grid(axes)
    metrics = [metric for metric in METRICS if metric.column in TISSUES]
    width = 0.8 / len(methods)
    for number, method in enumerate(methods):
        for tissue, metric in enumerate(metrics):
            sample = values(results, method, metric)
            place = tissue - 0.4 + (number + 0.5) * width
            if sample.size:
                _bar(axes, sample, place, (number, width))
        axes.bar([0], [0], color=colour(number), alpha=0.55, label=method)
    axes.set_xticks(range(len(metrics)), TISSUE_NAMES)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Mean absolute error (HU)")
    axes.set_xlim(-0.5, len(metrics) - 0.5)
    figure.legend(loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "tissues",
        "Error by tissue",
        f"Mean absolute error by tissue of the true CT, protocol {protocol}. Bars: mean over "
        "patients; lines: its 95 % bootstrap interval (three patients or more); points: patients.",
        figure,
    )


def _bar(axes: Axes, sample: FloatArray, place: float, look: tuple[int, float]) -> None:
    number, width = look
    mean = float(sample.mean())
    axes.bar(place, mean, width * 0.9, color=colour(number), alpha=0.55)
    low, high = mean_interval(sample)
    if np.isfinite(low):
        axes.plot([place, place], [low, high], color=REFERENCE_COLOUR, linewidth=1.4)
    axes.plot(
        place + spread(sample.size) * width, sample, marker(number),
        markersize=2.2, color=REFERENCE_COLOUR, alpha=0.6, markeredgewidth=0,
    )  # fmt: skip
