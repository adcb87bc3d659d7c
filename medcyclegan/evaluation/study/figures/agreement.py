"""Agreement in HU: Bland-Altman by region, errors by frequency, synthetic against true HU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from medcyclegan.evaluation.study.figures.style import (
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
)
from medcyclegan.evaluation.study.measure import ERROR_EDGES_HU, JOINT_EDGES_HU, REGIONS, Measured
from medcyclegan.geometry import FloatArray

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
