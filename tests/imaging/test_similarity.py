"""Mutual information: laws that need no reference."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.imaging.similarity import mutual_information, normalised_mutual_information

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=50_000), RNG.normal(size=50_000)


def test_an_image_tells_all_of_itself_and_nothing_of_noise() -> None:
    assert normalised_mutual_information(A, A) == pytest.approx(2.0)
    assert normalised_mutual_information(A, B) == pytest.approx(1.0, abs=5e-3)
    assert mutual_information(A, B) == pytest.approx(0.0, abs=1e-2)


def test_it_is_symmetric_and_blind_to_scale_and_sign() -> None:
    mixed = A + 0.5 * B
    value = mutual_information(A, mixed)
    assert value == pytest.approx(mutual_information(mixed, A))
    assert value == pytest.approx(mutual_information(3.0 * A - 7.0, mixed))
    assert value == pytest.approx(mutual_information(-A, mixed), rel=1e-2)
    assert 0.1 < value < mutual_information(A, A)


def test_gaussians_have_the_mutual_information_of_their_correlation() -> None:
    """-log(1 - r^2) / 2, to what 32 bins of 50,000 pairs can tell."""
    r = 0.8
    mixed = r * A + np.sqrt(1.0 - r**2) * B
    assert mutual_information(A, mixed) == pytest.approx(-0.5 * np.log(1.0 - r**2), rel=0.05)


def test_a_constant_tells_nothing() -> None:
    assert mutual_information(A, np.zeros_like(A)) == 0.0
    assert normalised_mutual_information(np.zeros(9), np.zeros(9)) == 1.0
