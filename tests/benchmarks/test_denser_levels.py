"""Levels of bone are moved up, and nothing else of a model is changed."""

from __future__ import annotations

import pytest
import torch

from benchmarks.denser_levels import moved_levels, network_of, with_share
from medcyclegan.core.task import Window
from medcyclegan.models.store import load_model

WINDOW = Window(lower=-1000.0, upper=2200.0)


def in_hu(levels: tuple[float, ...]) -> list[float]:
    return [level * 1600.0 + 600.0 for level in levels]


def test_levels_of_bone_alone_are_moved_and_none_beyond_the_window() -> None:
    levels = tuple((hu - 600.0) / 1600.0 for hu in (-1000, -100, 50, 250, 400, 1500, 2200))
    found = in_hu(moved_levels(levels, WINDOW, share=0.2))
    assert found == pytest.approx([-1000, -100, 50, 250, 430, 1750, 2200], abs=0.01)
    assert in_hu(moved_levels(levels, WINDOW, share=0.0)) == pytest.approx(in_hu(levels), abs=0.01)


def test_the_network_weighs_the_moved_levels_as_it_weighed_the_others() -> None:
    model = load_model("head-mr-ct")
    slab = torch.rand((1, 5, 64, 64), generator=torch.Generator().manual_seed(2)) * 2.0 - 1.0
    networks = [network_of(with_share(model, share), model) for share in (0.0, 0.2)]
    with torch.inference_mode():
        before, after = (network(slab)[0] for network in networks)
        logits = networks[0].head.logits(networks[0].features(slab))  # type: ignore[operator, union-attr]
    weights = logits.softmax(dim=2)[0]
    levels = model.card.generator.levels
    moved = moved_levels(levels, WINDOW, share=0.2)
    for found, wanted in ((before, levels), (after, moved)):
        mean = torch.einsum("dlhw,l->dhw", weights, torch.tensor(wanted))
        assert found == pytest.approx(mean, abs=1e-4)
    # The control: what has no weight on bone stays, and what has some is denser.
    on_bone = weights[:, [level > moved_at for level, moved_at in zip(moved, levels, strict=True)]]
    changed = (after - before)[on_bone.sum(dim=1) > 0.5]
    assert changed.numel()
    assert float(changed.min()) > 5.0 / 1600.0
    still = (after - before)[on_bone.sum(dim=1) < 1e-3]
    assert still.numel()
    assert float(still.max()) < 0.5 / 1600.0


def test_the_card_tells_of_it_and_forgets_what_was_measured() -> None:
    card = load_model("head-mr-ct").card
    moved = with_share(load_model("head-mr-ct"), 0.15)
    assert card.scores  # the control
    assert moved.scores == ()
    assert moved.reference_ranges is None
    assert moved.uncertainty is None
    assert moved.training.method.endswith("moved up by 15% of their height above it")
