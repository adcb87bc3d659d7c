"""Mutual information of two images, from the joint histogram of their paired values.

Entropies are in nats. How values are put into bins is the caller's choice, as figures of different
bins must not be compared: by scaling (``binned``), which is fast enough for a registration, or by
the edges of the bins (``binned_by_edges``), which leaves nothing to rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import FloatArray

# Bins a side of the joint histogram, where a caller does not say otherwise.
BINS = 32
Values = NDArray[np.floating]
Bins = NDArray[np.int64]


def binned(values: Values, bins: int = BINS, *, within: tuple[float, float] | None = None) -> Bins:
    """Return the bin of each value, 0 to ``bins`` - 1, of equal width.

    The bins go from the least value to the largest, or over the range ``within``, beyond which
    values count in the outermost bins. Values that are all equal are in bin 0.
    """
    low, high = within or (float(values.min()), float(values.max()))
    if not high > low:
        return np.zeros(values.shape, dtype=np.int64)
    scaled = (values - low) * (bins / (high - low))
    return np.asarray(np.clip(scaled, 0, bins - 1), dtype=np.int64)


def binned_by_edges(values: Values, bins: int) -> Bins:
    """Return the bin of each value as ``numpy.histogramdd`` counts it, least value to largest.

    A value on an edge is in the bin above it, the largest in the last. Values that are all equal
    are in bin 0.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"values from {low} to {high} have no bins")
    if low == high:
        return np.zeros(values.shape, dtype=np.int64)
    inner = np.linspace(low, high, bins + 1)[1:-1]
    return np.asarray(np.searchsorted(inner, values, side="right"), dtype=np.int64)


def joint_histogram(a: Bins, b: Bins, bins: int = BINS) -> FloatArray:
    """(bins, bins), the share of pairs in each pair of bins."""
    counts = np.bincount(a * bins + b, minlength=bins * bins).reshape(bins, bins)
    return np.asarray(counts / counts.sum())


def mutual_information(joint: FloatArray) -> float:
    """Mutual information of a joint histogram, in nats."""
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    found = joint > 0
    return float((joint[found] * np.log(joint[found] / apart[found])).sum())


def normalised_mutual_information(joint: FloatArray) -> float:
    """(H(a) + H(b)) / H(a, b) of a joint histogram, from 1 for nothing in common to 2.

    1 where both images have one value alone. Studholme, Hill and Hawkes, Pattern Recognition 32
    (1999) 71.
    """
    together = _entropy(joint)
    if together == 0.0:
        return 1.0
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together


def _entropy(shares: FloatArray) -> float:
    found = shares[shares > 0]
    return float(-(found * np.log(found)).sum())
