"""Levels of bone are moved up, and nothing else of a model is changed."""

from __future__ import annotations

import pytest
import torch

from benchmarks.denser_levels import moved_levels, network_of, with_share
from medcyclegan.core.task import Window
from medcyclegan.inference.sliding_slabs import run_slab
from medcyclegan.models.store import load_model

WINDOW = Window(lower=-1000.0, upper=2200.0)


def in_hu(levels: tuple[float, ...]) -> list[float]:
    return [level * 1600.0 + 600.0 for level in levels]


def test_levels_of_bone_alone_are_moved_and_none_beyond_the_window() -> None:
    levels = tuple((hu - 600.0) / 1600.0 for hu in (-1000, -100, 50, 250, 400, 1500, 2200))
    found = in_hu(moved_levels(levels, WINDOW, share=0.2))
    assert found == pytest.approx([-1000, -100, 50, 250, 430, 1750, 2200], abs=0.01)
    assert in_hu(moved_levels(levels, WINDOW, share=0.0)) == pytest.approx(in_hu(levels), abs=0.01)


def test_the_network_gives_denser_bone_and_the_same_soft_tissue() -> None:
    model = load_model("head-mr-ct")
    slab = torch.rand((5, 64, 64), generator=torch.Generator().manual_seed(2)) * 2.0 - 1.0
    slab[:, 20:40] = -0.9  # as dark as bone

    def made(share: float) -> torch.Tensor:
        network = network_of(with_share(model, share), model.generator)
        return run_slab(network, slab, device=torch.device("cpu")) * 1600.0 + 600.0

    before, after = made(0.0), made(0.2)
    bone, soft = before > 600.0, before < 100.0
    assert bone.any()
    assert float((after - before)[bone].min()) > 40.0
    assert float((after - before)[soft].abs().mean()) < 12.0


def test_the_card_tells_of_it_and_forgets_what_was_measured() -> None:
    card = load_model("head-mr-ct").card
    moved = with_share(load_model("head-mr-ct"), 0.15)
    assert card.scores  # the control
    assert moved.scores == ()
    assert moved.reference_ranges is None
    assert moved.uncertainty is None
    assert moved.training.method.endswith("moved up by 15% of their height above it")
