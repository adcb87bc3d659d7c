"""Mutual information: laws that need no reference, and other ways to compute it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy
from skimage.metrics import normalized_mutual_information

from medcyclegan.imaging.mutual_information import (
    BINS,
    Values,
    binned,
    binned_by_edges,
    joint_histogram,
    mutual_information,
    normalised_mutual_information,
)

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=50_000), RNG.normal(size=50_000)


def mi(a: Values, b: Values) -> float:
    return mutual_information(joint_histogram(binned(a), binned(b)))


def nmi(a: Values, b: Values) -> float:
    return normalised_mutual_information(joint_histogram(binned(a), binned(b)))


def test_an_image_tells_all_of_itself_and_nothing_of_noise() -> None:
    assert nmi(A, A) == pytest.approx(2.0)
    assert nmi(A, B) == pytest.approx(1.0, abs=5e-3)
    assert mi(A, B) == pytest.approx(0.0, abs=1e-2)


def test_it_is_symmetric_and_blind_to_scale_and_sign() -> None:
    mixed = A + 0.5 * B
    value = mi(A, mixed)
    assert value == pytest.approx(mi(mixed, A))
    assert value == pytest.approx(mi(3.0 * A - 7.0, mixed))
    assert value == pytest.approx(mi(-A, mixed), rel=1e-2)
    assert 0.1 < value < mi(A, A)


def test_gaussians_have_the_mutual_information_of_their_correlation() -> None:
    """-log(1 - r^2) / 2, to what 32 bins of 50,000 pairs can tell."""
    r = 0.8
    mixed = r * A + np.sqrt(1.0 - r**2) * B
    assert mi(A, mixed) == pytest.approx(-0.5 * np.log(1.0 - r**2), rel=0.05)


def test_a_constant_tells_nothing() -> None:
    assert mi(A, np.zeros_like(A)) == 0.0
    assert nmi(np.zeros(9), np.zeros(9)) == 1.0


def images(kind: str) -> tuple[Values, Values]:
    """Paired values of the kinds that there are: whole HU on edges of bins, signal, two dtypes."""
    rng = np.random.default_rng(7)
    hu = np.clip(rng.normal(0.0, 500.0, 40_000), -1024.0, 2112.0)
    if kind == "whole":
        hu[:2] = -1024.0, 2112.0  # 64 bins of 49 HU
        return np.rint(hu), np.rint(hu + rng.normal(0.0, 80.0, hu.size))
    signal = np.abs(hu) ** 1.3 + rng.exponential(20.0, hu.size)
    if kind == "float32":
        return hu.astype(np.float32), signal.astype(np.float32)
    return hu, signal


@pytest.mark.parametrize("kind", ["whole", "float32", "float64"])
@pytest.mark.parametrize("bins", [32, 64])
def test_by_edges_it_is_that_of_numpy_and_scipy_and_scikit_image(kind: str, bins: int) -> None:
    a, b = images(kind)
    joint = joint_histogram(binned_by_edges(a, bins), binned_by_edges(b, bins), bins)
    counts, _ = np.histogramdd([a, b], bins)
    assert np.array_equal(np.rint(joint * a.size), counts)
    expected = (entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1))) / entropy(counts.ravel())
    found = normalised_mutual_information(joint)
    assert found == pytest.approx(float(expected), rel=1e-12)
    # scikit-image divides the counts by the bins' widths, which in float32 are not quite equal
    rounding = 1e-7 if kind == "float32" else 1e-12
    other = float(normalized_mutual_information(a, b, bins=bins))
    assert found == pytest.approx(other, rel=rounding)


def test_by_scaling_values_on_an_edge_may_fall_below_it() -> None:
    """The control of the law above: rounding moves what lies on an edge."""
    a, _ = images("whole")
    assert not np.array_equal(np.bincount(binned(a, 64), minlength=64), np.histogram(a, 64)[0])


def test_what_has_no_bins_is_not_counted() -> None:
    with pytest.raises(ValueError, match="no bins"):
        binned_by_edges(np.array([0.0, np.nan]), 8)
    assert binned_by_edges(np.full(5, 3.0), 8).tolist() == [0] * 5


def test_beyond_a_range_values_count_in_the_outermost_bins() -> None:
    values = np.array([-9.0, -1.0, -0.9, 0.0, 0.99, 1.0, 9.0], dtype=np.float32)
    found = binned(values, BINS, within=(-1.0, 1.0))
    assert found.tolist() == [0, 0, 1, 16, 31, 31, 31]
