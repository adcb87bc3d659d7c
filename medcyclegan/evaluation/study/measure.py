"""What is kept of one scored image: its scores, and the counts that the figures are drawn from.

Everything here is small, so that a study of any number of patients holds one patient's voxels at
a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.evaluation.metrics import (
    AIR_BELOW_HU,
    BONE_ABOVE_HU,
    SOFT_FROM_HU,
    SOFT_TO_HU,
    Protocol,
    Scores,
    score,
)
from medcyclegan.evaluation.study.load import Prediction, Truth
from medcyclegan.evaluation.views import in_viewing_order
from medcyclegan.geometry import FloatArray

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


def measure(
    case: str, method: str, truth: Truth, prediction: Prediction, *, protocol: Protocol
) -> Measured:
    """Score one synthetic CT, and count what the figures need."""
    inside = truth.mask.voxels > 0
    sct_hu = prediction.sct.voxels[inside].astype(np.float64)
    ct_hu = truth.ct.voxels[inside].astype(np.float64)
    mae_hu, bias_hu = _by_height(truth, prediction)
    return Measured(
        case=case,
        method=method,
        scores=score(prediction.sct, truth.ct, truth.mask, protocol=protocol),
        region_means_hu=_region_means(sct_hu, ct_hu),
        error_counts=_counts(_bins(sct_hu - ct_hu, ERROR_EDGES_HU), len(ERROR_EDGES_HU) - 1),
        joint_counts=_joint_counts(sct_hu, ct_hu),
        height_mae_hu=mae_hu,
        height_bias_hu=bias_hu,
        resampled=prediction.resampled,
        notes=prediction.notes,
    )


def _region_means(sct_hu: FloatArray, ct_hu: FloatArray) -> tuple[tuple[float, float], ...]:
    regions = (
        np.ones(ct_hu.shape, dtype=np.bool_),
        ct_hu < AIR_BELOW_HU,
        (ct_hu >= SOFT_FROM_HU) & (ct_hu <= SOFT_TO_HU),
        ct_hu > BONE_ABOVE_HU,
    )
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
