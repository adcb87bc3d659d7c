"""Statistics of a cohort: scores of each image, means, intervals, paired tests.

What is kept of one scored image: its scores, and the counts that the figures are drawn from.
Everything here is small, so that a study of any number of patients holds one patient's voxels at
a time.

A cohort in numbers: mean, spread and interval of each score, and paired tests of methods.
The interval is the bias-corrected and accelerated bootstrap of the mean over patients (Efron
1987), the test Wilcoxon's signed-rank test over the patients that both methods have, corrected
after Holm (1979) for all tests of the table.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medcyclegan.core.geometry import FloatArray
from medcyclegan.evaluation.metrics import Protocol, Scores, score, tissues
from medcyclegan.evaluation.study.further import Anatomy, BeamScore, further_scores
from medcyclegan.evaluation.study.load import Prediction, Truth
from medcyclegan.evaluation.study.score_columns import Metric, Result, value_of
from medcyclegan.evaluation.views import in_viewing_order

Counts = NDArray[np.int64]

# Errors beyond the ends are counted in the last bins; 10 HU is below the noise of a CT.
ERROR_EDGES_HU = np.arange(-1000.0, 1001.0, 10.0)
# From air to cortical bone; teeth and metal beyond the end are counted in the last bin.
JOINT_EDGES_HU = np.arange(-1024.0, 2049.0, 16.0)
# Heights in the body, 0 at its lowest and 100 at its highest axial slice, in percent.
HEIGHTS_PERCENT = np.linspace(0.0, 100.0, 51)
# At the body's ends a few voxels of skin would stand for a slice.
LEAST_SLICE_SHARE = 0.05

REGIONS = ("body", "air", "soft tissue", "bone")


@dataclass(frozen=True, eq=False)
class Measured:
    """One synthetic CT against its reference, inside the body mask.

    Parameters
    ----------
    region_means_hu:
        Mean of the synthetic and of the true CT, for each of ``REGIONS``; NaN where the reference
        has no such voxel.
    error_counts:
        Voxels by synthetic minus true HU, in the bins of ``ERROR_EDGES_HU``.
    joint_counts:
        Voxels by true (first axis) and synthetic HU, in the bins of ``JOINT_EDGES_HU``.
    height_mae_hu, height_bias_hu:
        Mean absolute and mean error of axial slices, at ``HEIGHTS_PERCENT``.
    further:
        Scores beside those of the voxels, by column.
    beams:
        Errors of water-equivalent paths by beam, if asked for.
    """

    case: str
    method: str
    scores: Scores
    region_means_hu: tuple[tuple[float, float], ...]
    error_counts: Counts
    joint_counts: Counts
    height_mae_hu: FloatArray
    height_bias_hu: FloatArray
    resampled: bool
    notes: tuple[str, ...]
    further: dict[str, float] = field(default_factory=dict)
    beams: tuple[BeamScore, ...] = ()

    def value(self, column: str) -> float:
        """A score by its column; NaN where the protocol has none, or it is not defined."""
        if column in self.further:
            return self.further[column]
        value = getattr(self.scores, column, None)
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Pair:
    """Whose image of which method is scored."""

    case: str
    method: str


def measure(
    pair: Pair,
    truth: Truth,
    prediction: Prediction,
    *,
    protocol: Protocol,
    anatomy: Anatomy | None = None,
) -> Measured:
    """Score one synthetic CT, and count what the figures need; surfaces with an ``anatomy``."""
    inside = truth.mask.voxels > 0
    sct_hu = prediction.sct.voxels[inside].astype(np.float64)
    ct_hu = truth.ct.voxels[inside].astype(np.float64)
    mae_hu, bias_hu = _by_height(truth, prediction)
    further = None if anatomy is None else further_scores(prediction, truth, anatomy)
    return Measured(
        case=pair.case,
        method=pair.method,
        scores=score(prediction.sct, truth.ct, truth.mask, protocol=protocol),
        region_means_hu=_region_means(sct_hu, ct_hu),
        error_counts=_counts(_bins(sct_hu - ct_hu, ERROR_EDGES_HU), len(ERROR_EDGES_HU) - 1),
        joint_counts=_joint_counts(sct_hu, ct_hu),
        height_mae_hu=mae_hu,
        height_bias_hu=bias_hu,
        resampled=prediction.resampled,
        notes=prediction.notes + (() if further is None else further.notes),
        further={} if further is None else further.values,
        beams=() if further is None else further.beams,
    )


def _region_means(sct_hu: FloatArray, ct_hu: FloatArray) -> tuple[tuple[float, float], ...]:
    regions = (np.ones(ct_hu.shape, dtype=np.bool_), *tissues(ct_hu))
    return tuple((_mean(sct_hu[region]), _mean(ct_hu[region])) for region in regions)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _bins(values: FloatArray, edges: FloatArray) -> Counts:
    """Number of the bin of each value; equal bins, what lies outside goes into the last ones."""
    step = edges[1] - edges[0]
    bins = np.floor((values - edges[0]) / step).astype(np.int64)
    return np.asarray(np.clip(bins, 0, len(edges) - 2))


def _counts(bins: Counts, size: int) -> Counts:
    return np.bincount(bins, minlength=size).astype(np.int64)


def _joint_counts(sct_hu: FloatArray, ct_hu: FloatArray) -> Counts:
    size = len(JOINT_EDGES_HU) - 1
    both = _bins(ct_hu, JOINT_EDGES_HU) * size + _bins(sct_hu, JOINT_EDGES_HU)
    return _counts(both, size * size).reshape(size, size)


def _by_height(truth: Truth, prediction: Prediction) -> tuple[FloatArray, FloatArray]:
    """Mean absolute and mean error by slice, from feet to head, scaled to the body's height."""
    inside = in_viewing_order(truth.mask)[:, :, ::-1] > 0
    error = in_viewing_order(prediction.sct)[:, :, ::-1] - in_viewing_order(truth.ct)[:, :, ::-1]
    error = np.where(inside, error, 0.0)
    voxels = inside.sum(axis=(0, 1))
    filled = np.flatnonzero(voxels >= max(1.0, LEAST_SLICE_SHARE * voxels.max()))
    absolute = np.abs(error).sum(axis=(0, 1), dtype=np.float64)[filled] / voxels[filled]
    signed = error.sum(axis=(0, 1), dtype=np.float64)[filled] / voxels[filled]
    span = max(int(filled[-1] - filled[0]), 1)
    heights = 100.0 * (filled - filled[0]) / span
    return (
        np.interp(HEIGHTS_PERCENT, heights, absolute),
        np.interp(HEIGHTS_PERCENT, heights, signed),
    )


CONFIDENCE = 0.95
# The interval's ends then vary by about one percent of its length from seed to seed.
RESAMPLES = 9999
SEED = 0
# Fewer patients than this have no interval to speak of.
LEAST_FOR_INTERVAL = 3

ALL = "all"


@dataclass(frozen=True)
class Summary:
    """A score of a method over the ``n`` patients of a group for whom it is finite."""

    method: str
    group: str
    metric: Metric
    n: int
    mean: float
    sd: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two methods by one score over the ``n`` patients for whom both are finite.

    Differences are first minus second; ``p_holm`` is corrected for all tests of the study.
    """

    metric: Metric
    first: str
    second: str
    n: int
    mean_difference: float
    median_difference: float
    p: float
    p_holm: float


def summarise(
    results: Sequence[Result], *, metrics: Sequence[Metric], groups: dict[str, str]
) -> list[Summary]:
    """Summarise every score of every method, over all patients and by group."""
    methods = _in_order(result.method for result in results)
    named = sorted({groups[r.case] for r in results if groups.get(r.case)})
    rows = []
    for group, method, metric in itertools.product((ALL, *named), methods, metrics):
        values = [
            value_of(r, metric)
            for r in results
            if r.method == method and group in (ALL, groups.get(r.case))
        ]
        rows.append(_summary(np.array(values), method=method, group=group, metric=metric))
    return rows


def _summary(values: FloatArray, *, method: str, group: str, metric: Metric) -> Summary:
    values = values[np.isfinite(values)]
    if not values.size:
        nan = math.nan
        return Summary(method, group, metric, 0, nan, nan, nan, nan, nan)
    low, high = mean_interval(values)
    sd = float(values.std(ddof=1)) if values.size > 1 else math.nan
    mean, median = float(values.mean()), float(np.median(values))
    return Summary(method, group, metric, values.size, mean, sd, median, low, high)


def mean_interval(values: FloatArray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean; NaN for fewer than three values."""
    if values.size < LEAST_FOR_INTERVAL:
        return math.nan, math.nan
    if np.ptp(values) == 0.0:
        return float(values[0]), float(values[0])
    with warnings.catch_warnings():
        # Of values that are equal but for rounding scipy says so, and gives NaN: no interval.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        interval = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    return float(interval.low), float(interval.high)


def compare(results: Sequence[Result], *, metrics: Sequence[Metric]) -> list[Comparison]:
    """Test every pair of methods by every score that is tested, paired by patient."""
    methods = _in_order(result.method for result in results)
    by_key = {(r.method, r.case): r for r in results}
    metrics = [metric for metric in metrics if metric.tested]
    cases = _in_order(result.case for result in results)
    found = []
    for (first, second), metric in itertools.product(itertools.combinations(methods, 2), metrics):
        pairs = np.array(
            [
                (value_of(by_key[first, c], metric), value_of(by_key[second, c], metric))
                for c in cases
                if (first, c) in by_key and (second, c) in by_key
            ]
        ).reshape(-1, 2)
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        found.append(_comparison(pairs[:, 0] - pairs[:, 1], metric, (first, second)))
    corrected = holm([row.p for row in found])
    return [replace(row, p_holm=p) for row, p in zip(found, corrected, strict=True)]


def _comparison(differences: FloatArray, metric: Metric, names: tuple[str, str]) -> Comparison:
    if not differences.size:
        return Comparison(metric, *names, 0, math.nan, math.nan, math.nan, math.nan)
    # Without any difference the ranks are empty, and there is nothing to be significant.
    p = float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0
    mean, median = float(differences.mean()), float(np.median(differences))
    return Comparison(metric, *names, differences.size, mean, median, p, math.nan)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values after Holm's step-down method; NaN is no test and stays NaN."""
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i]
    )
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
