"""Slices at a low dose and without noise: alike but for noise, fixed by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate import low_dose_ct as dose_slices
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.low_dose_ct import make_dose_slices
from tests.simulate.head_labels import head_labels


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> HeadAnatomy:
    monkeypatch.setattr(dose_slices, "SIZE_PX", 64)
    monkeypatch.setattr(dose_slices, "_SLICES_A_HEAD", 3)
    return prepare_head(head_labels())


@pytest.mark.parametrize("phantoms", [0.0, 1.0])
def test_slices_differ_by_noise_alone(
    phantoms: float, head: HeadAnatomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dose_slices, "_PHANTOM_SHARE", phantoms)
    low, limit = make_dose_slices([head], seed=3, count=5)  # the second head is cut short
    assert low.shape == limit.shape == (5, 64, 64)
    assert low.dtype == limit.dtype == np.int16
    tissue = (limit > -100) & (limit < 200)
    assert tissue.mean() > 0.05
    noise = (low.astype(float) - limit)[tissue]
    assert 2.0 < noise.std() < 150.0
    assert abs(noise.mean()) < 0.25 * noise.std()
    again = make_dose_slices([head], seed=3, count=5)
    assert np.array_equal(again[0], low)
    assert np.array_equal(make_dose_slices([head], seed=3, count=2)[0], low[:2])
    assert not np.array_equal(make_dose_slices([head], seed=4, count=5)[1], limit)
