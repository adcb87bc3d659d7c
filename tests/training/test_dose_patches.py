"""Patches of kept slices: the two sides stay aligned, the index fixes all, the file is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medcyclegan.core.task import Domain
from medcyclegan.errors import InputRefused
from medcyclegan.simulate import low_dose_ct as simulated
from medcyclegan.simulate.label_heads.label_maps import prepare_head
from medcyclegan.training.data.simulated import DosePatches, SimulatedData, dose_slices
from tests.simulate.head_labels import head_labels
from tests.tiny_model import HU_WINDOW
from tests.training.simulated_training import simulated_data


def config(**changes: object) -> SimulatedData:
    ct = Domain(modality="CT", unit="HU", scaling=HU_WINDOW)
    plain = {"a": ct, "b": ct, "spacing_mm": None, "source": "low_dose_ct", "slices": 2}
    return simulated_data(**{**plain, "size_px": 32, **changes})


def test_both_sides_are_cut_and_turned_alike() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(-900, 1900, (7, 50, 40)).astype(np.int16)
    patches = DosePatches((low, low + 60), config(), seed=0)
    noisy, clean, paired, _ = patches[4]
    assert paired.all()
    assert noisy.shape == clean.shape == (2, 3, 32, 32)
    assert noisy.dtype == torch.float32
    torch.testing.assert_close(clean - noisy, torch.full_like(noisy, 60 / 1500), rtol=0, atol=1e-5)
    assert torch.equal(patches[4][0], noisy)
    assert not torch.equal(patches[5][0], noisy)
    assert not torch.equal(noisy[0], noisy[1])
    other = DosePatches((low, low + 60), config(), seed=1)
    assert not torch.equal(other[4][0], noisy)


def test_patches_lie_everywhere_and_turn_every_way() -> None:
    rows, columns = np.mgrid[0:36, 0:36]
    ramp = np.stack([rows, columns, rows]).astype(np.int16)
    patches = DosePatches((ramp, ramp), config(), seed=0)
    steps = set()
    for index in range(40):
        first = patches[index][0][0, 0] * 1500 + 500
        down, right = first[1, 0] - first[0, 0], first[0, 1] - first[0, 0]
        steps.add((round(float(down)), round(float(right))))
    assert steps == {(1, 0), (-1, 0), (0, 1), (0, -1)}


def test_slices_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "SIZE_PX", 32)
    monkeypatch.setattr(simulated, "_SLICES_A_HEAD", 2)
    monkeypatch.setattr(simulated, "_PHANTOM_SHARE", 0.0)
    path = tmp_path / "run" / "slices.npz"
    made = dose_slices([prepare_head(head_labels())], config(), path, seed=0)
    assert [p.name for p in path.parent.iterdir()] == ["slices.npz"]
    kept = dose_slices([], config(), path, seed=0)  # no heads: what is kept is read
    assert all(np.array_equal(a, b) for a, b in zip(made, kept, strict=True))
    more = config(slices=3)
    with pytest.raises(InputRefused, match="holds 2 slices"):
        dose_slices([], more, path, seed=0)
