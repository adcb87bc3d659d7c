"""Curves of uncertainty: fitted on made errors, and told by tenths."""

from __future__ import annotations

import numpy as np

from benchmarks.calibrate_shipped import reliability, uncertainty_lines
from medcyclegan.quality.uncertainty import ErrorSample, fitted_curve, map_of


def test_a_fit_is_made_and_tenths_tell_whether_it_holds() -> None:
    rng = np.random.default_rng(2)
    spread = rng.gamma(2.0, 40.0, 50_000)
    error = np.abs(rng.normal(0.0, 12.0 + 1.5 * spread))
    sample = ErrorSample("head 1 made", spread, error)
    fit = fitted_curve([sample], fitted_on="made")
    factor = np.sqrt(2.0 / np.pi)  # mean of |normal|
    wanted = factor * (12.0 + 1.5 * np.asarray(fit.spread))
    assert np.abs(np.asarray(fit.error) / wanted - 1.0).max() < 0.15
    said = reliability(map_of(sample, fit), error)
    assert all(abs(one - true) < 0.1 * true + 3.0 for one, true in said)
    # The control: of a map without a relation to the error all tenths are alike.
    shuffled = reliability(rng.permutation(spread), error)
    assert max(true for _, true in shuffled) < 1.2 * min(true for _, true in shuffled)
    others = ErrorSample("head 2 made", spread[::2], error[::2])
    text = "\n".join(uncertainty_lines([sample, others]))
    assert "| head 1 made | 0." in text
    assert text.count("\n| 1") == 2
    assert list(uncertainty_lines([sample]))[2:] == []  # nobody else to fit a curve on
