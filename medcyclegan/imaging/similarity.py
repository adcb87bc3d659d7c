"""Mutual information of paired values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import FloatArray

BINS = 32
Values = NDArray[np.floating]
Bins = NDArray[np.int64]


def binned(values: Values, bins: int = BINS) -> Bins:
    """Return the bin of each value, 0 to ``bins`` - 1, of equal width from least to largest."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(values.shape, dtype=np.int64)
    scaled = (values - low) * (bins / (high - low))
    return np.minimum(scaled.astype(np.int64), bins - 1)


def joint_histogram(a: Bins, b: Bins, bins: int = BINS) -> FloatArray:
    """(bins, bins), the share of pairs in each pair of bins."""
    counts = np.bincount(a * bins + b, minlength=bins * bins).reshape(bins, bins)
    return np.asarray(counts / counts.sum())


def mutual_information_of(joint: FloatArray) -> float:
    """Mutual information of a joint histogram, in nats."""
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    found = joint > 0
    return float((joint[found] * np.log(joint[found] / apart[found])).sum())


def mutual_information(a: Values, b: Values) -> float:
    """Mutual information of paired values, in nats, by 32 x 32 bins."""
    return mutual_information_of(joint_histogram(binned(a), binned(b)))


def normalised_mutual_information(a: Values, b: Values) -> float:
    """(H(a) + H(b)) / H(a, b), from 1 for nothing in common to 2; by 32 x 32 bins.

    Studholme, Hill and Hawkes, Pattern Recognition 32 (1999) 71.
    """
    joint = joint_histogram(binned(a), binned(b))
    together = _entropy(joint)
    if together == 0.0:
        return 1.0
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together


def _entropy(shares: FloatArray) -> float:
    found = shares[shares > 0]
    return float(-(found * np.log(found)).sum())
