"""Figures of scores: distributions, tissues, agreement in HU, errors by frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from medcyclegan.core.geometry import FloatArray
from medcyclegan.core.text import counted
from medcyclegan.evaluation.study.figure_style import (
    MINUS,
    NARROW_MM,
    REFERENCE_COLOUR,
    WIDE_MM,
    Drawn,
    colour,
    light_grid,
    line,
    marker,
    new_figure,
    wrapped,
)
from medcyclegan.evaluation.study.score_columns import METRICS, Metric, Result, metrics_of, value_of
from medcyclegan.evaluation.study.statistics import (
    ERROR_EDGES_HU,
    JOINT_EDGES_HU,
    REGIONS,
    Measured,
    mean_interval,
)

COLUMNS = 4
PANEL_HEIGHT_MM = 52.0

# A violin smooths; of fewer patients it would show the smoothing.
LEAST_FOR_VIOLIN = 20

TISSUES = ("air", "soft", "bone")
ERRORS = {"mae": "Mean absolute error", "rmse": "Root mean square error", "me": "Mean error"}
TISSUE_NAMES = ("Air\n< \N{MINUS SIGN}400", "Soft tissue\n\N{MINUS SIGN}150 to 150",
                "Bone\n> 250 HU")  # fmt: skip


def values(results: Sequence[Result], method: str, metric: Metric) -> FloatArray:
    """The finite scores of a method (n,), in the order of the patients."""
    found = np.array([value_of(r, metric) for r in results if r.method == method])
    return np.asarray(found[np.isfinite(found)])


def draw_scores(
    results: Sequence[Result],
    methods: Sequence[str],
    protocol: str,
    *,
    metrics: Sequence[Metric] | None = None,
) -> Drawn:
    """Draw a panel for each score that is tested, and for surfaces: boxes, every patient as a
    point, violins of many patients. ``metrics`` None are those of the protocol.
    """
    metrics = metrics_of(protocol) if metrics is None else metrics
    metrics = [metric for metric in metrics if metric.tested or metric.family == "surface"]
    metrics = [m for m in metrics if any(values(results, name, m).size for name in methods)]
    rows = math.ceil(len(metrics) / COLUMNS)
    figure = new_figure(WIDE_MM, PANEL_HEIGHT_MM * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, metric in zip(panels, metrics, strict=False):
        _boxes(axes, [values(results, method, metric) for method in methods])
        axes.set_title(metric.title)
        axes.set_xticks(range(len(methods)), [wrapped(name) for name in methods])
        if len(methods) > 3:
            axes.tick_params(axis="x", rotation=45)
        arrow = "\N{UPWARDS ARROW}" if metric.better == "higher" else "\N{DOWNWARDS ARROW}"
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
    """Draw the errors by tissue, with the interval of the mean and every patient."""
    figure = new_figure(WIDE_MM, 70.0)
    panels = figure.subplots(1, len(ERRORS))
    for axes, (column, title) in zip(panels, ERRORS.items(), strict=True):
        _tissue_bars(axes, results, methods, column)
        axes.set_ylabel(f"{title} (HU)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "tissues",
        "Error by tissue",
        "Mean absolute, root mean square and mean error (synthetic minus true) by tissue of the "
        f"true CT, protocol {protocol}. Bars: mean over patients; lines: its 95 % bootstrap "
        "interval (three patients or more); points: patients.",
        figure,
    )


def _tissue_bars(
    axes: Axes, results: Sequence[Measured], methods: Sequence[str], column: str
) -> None:
    light_grid(axes)
    axes.axhline(0.0, color=REFERENCE_COLOUR, linewidth=0.6)
    columns = {metric.column: metric for metric in METRICS}
    width = 0.8 / len(methods)
    for number, method in enumerate(methods):
        for tissue, name in enumerate(TISSUES):
            sample = values(results, method, columns[f"{column}_{name}_hu"])
            place = tissue - 0.4 + (number + 0.5) * width
            if sample.size:
                _bar(axes, sample, place, (number, width))
        axes.bar([0], [0], color=colour(number), alpha=0.55, label=method)
    axes.set_xticks(range(len(TISSUES)), TISSUE_NAMES)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(TISSUES) - 0.5)


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


# Of a normal distribution, 95 % lies within this many standard deviations.
LIMITS_SD = 1.96

JOINT_COLUMNS = 3
# In percent: rarer pairs of values, a few voxels of a patient, are left white.
LEAST_SHARE = 1e-4


def draw_bland_altman(results: Sequence[Measured], methods: Sequence[str], protocol: str) -> Drawn:
    """Draw patients' mean HU of each region: synthetic minus true against their mean."""
    figure = new_figure(WIDE_MM, 62.0)
    panels = figure.subplots(1, len(REGIONS))
    for region, axes in enumerate(panels):
        light_grid(axes)
        axes.axhline(0.0, color=REFERENCE_COLOUR, linewidth=0.6)
        for number, method in enumerate(methods):
            pairs = np.array([r.region_means_hu[region] for r in results if r.method == method])
            _agreement(axes, pairs[np.isfinite(pairs).all(axis=1)], number, label=method)
        axes.set_title(REGIONS[region].capitalize())
        axes.set_xlabel("Mean of sCT and CT (HU)")
        axes.margins(0.15)
    panels[0].set_ylabel(f"sCT {MINUS} CT (HU)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "bland_altman",
        "Bland-Altman",
        "Bland-Altman plots of the mean HU of each patient, in the body and by tissue of the true "
        "CT. A point is a patient. Lines: mean difference (bias), and in paler colour the limits "
        f"of agreement, bias \N{PLUS-MINUS SIGN} {LIMITS_SD} SD (three patients or more). Body "
        f"mask and tissues as in protocol {protocol}.",
        figure,
    )


def _agreement(axes: Axes, pairs: FloatArray, number: int, *, label: str) -> None:
    """Draw patients' means ``pairs`` (n, 2), synthetic and true HU."""
    if not len(pairs):
        return
    difference = pairs[:, 0] - pairs[:, 1]
    axes.plot(
        pairs.mean(axis=1), difference, marker(number), color=colour(number),
        markersize=3, alpha=0.8, markeredgewidth=0, label=label,
    )  # fmt: skip
    bias = float(difference.mean())
    axes.axhline(bias, color=colour(number), linewidth=1.1)
    if len(pairs) >= 3:
        reach = LIMITS_SD * float(difference.std(ddof=1))
        for limit in (bias - reach, bias + reach):
            axes.axhline(limit, color=colour(number), linewidth=0.8, linestyle="--", alpha=0.6)


def draw_error_histogram(
    results: Sequence[Measured], methods: Sequence[str], protocol: str
) -> Drawn:
    """Draw how frequent errors are in the body; each patient counts alike."""
    figure = new_figure(NARROW_MM, 70.0)
    axes = figure.subplots()
    light_grid(axes)
    step = ERROR_EDGES_HU[1] - ERROR_EDGES_HU[0]
    for number, method in enumerate(methods):
        counts = [r.error_counts for r in results if r.method == method]
        shares = np.array([100.0 * c / c.sum() for c in counts])
        axes.stairs(
            shares.mean(axis=0), ERROR_EDGES_HU,
            color=colour(number), linestyle=line(number), linewidth=1.1, label=method,
        )  # fmt: skip
    axes.axvline(0.0, color=REFERENCE_COLOUR, linewidth=0.6)
    axes.set_yscale("log")
    axes.set_xlim(ERROR_EDGES_HU[0], ERROR_EDGES_HU[-1])
    axes.set_xlabel(f"sCT {MINUS} CT (HU)")
    axes.set_ylabel(f"Share of the body's voxels (%, per {step:.0f} HU)")
    figure.legend(loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "error_histogram",
        "Errors by frequency",
        f"Frequency of errors inside the body, bins of {step:.0f} HU, logarithmic; mean over "
        "patients, each counting alike. Errors beyond 1000 HU are counted in the outermost bins. "
        f"Body mask as in protocol {protocol}.",
        figure,
    )


def draw_joint_histogram(
    results: Sequence[Measured], methods: Sequence[str], protocol: str
) -> Drawn:
    """Draw synthetic against true HU, voxel by voxel, a panel for each method."""
    columns = min(JOINT_COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = new_figure(20.0 + 60.0 * columns, 4.0 + 60.0 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    shares = [_joint_share(results, method) for method in methods]
    norm = LogNorm(LEAST_SHARE, max(1e-3, *(float(s.max()) for s in shares)))
    low, high = JOINT_EDGES_HU[0], JOINT_EDGES_HU[-1]
    for number, (axes, share) in enumerate(zip(panels, shares, strict=False)):
        image = axes.pcolormesh(
            JOINT_EDGES_HU, JOINT_EDGES_HU, np.ma.masked_less(share.T, LEAST_SHARE),
            norm=norm, cmap="viridis", rasterized=True,
        )  # fmt: skip
        axes.plot((low, high), (low, high), color=REFERENCE_COLOUR, linewidth=0.6, linestyle="--")
        axes.set(title=methods[number], aspect="equal", xlim=(low, high), ylim=(low, high))
        axes.set_xlabel("CT (HU)")
        if number % columns == 0:
            axes.set_ylabel("sCT (HU)")
    for axes in panels[len(methods) :]:
        axes.set_axis_off()
    figure.colorbar(image, ax=list(panels), label="Share of the body's voxels (%)", shrink=0.85)
    step = JOINT_EDGES_HU[1] - JOINT_EDGES_HU[0]
    return Drawn(
        "joint_histogram",
        "Synthetic against true HU",
        f"Joint histogram of synthetic and true HU inside the body, bins of {step:.0f} HU, "
        f"logarithmic; mean over patients; shares below {LEAST_SHARE:g} % are white. Dashed: "
        "identity. Values beyond the axes are counted in the outermost bins. Body mask as in "
        f"protocol {protocol}.",
        figure,
    )


def _joint_share(results: Sequence[Measured], method: str) -> FloatArray:
    """Percent of voxels (true, synthetic), the mean over patients; summed one by one."""
    counts = [r.joint_counts for r in results if r.method == method]
    total = np.zeros(counts[0].shape)
    for count in counts:
        total += 100.0 * count / count.sum()
    return np.asarray(total / len(counts))
