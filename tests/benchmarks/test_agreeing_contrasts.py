"""Contrasts of a visit are pulled together where bone is told from the rest, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.agreeing_contrasts import (
    CONFIG,
    OPENMS,
    PATCH_PX,
    Agreeing,
    Visit,
    between,
    disagreement,
    told,
)
from medcyclegan.models.card import Training
from medcyclegan.models.store import load_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Moment
from medcyclegan.training.engines.supervised import SupervisedSettings
from medcyclegan.training.parallel import Crew
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

TINY = ("generator.widths=[4, 8]", "init_from=null", "engine.learning_rate=1e-3")


def visit(*contrasts: torch.Tensor) -> Visit:
    """A visit of some contrasts (D, H, W), all of it inside the head."""
    return Visit(torch.stack(contrasts), torch.ones(contrasts[0].shape))


def brain(seed: int) -> torch.Tensor:
    return torch.rand((7, PATCH_PX + 8, PATCH_PX), generator=torch.Generator().manual_seed(seed))


def losses_of_a_step(one: Visit) -> dict[str, torch.Tensor]:
    config = read_settings(find_config(CONFIG), TrainConfig, changes=TINY)
    assert isinstance(config.engine, SupervisedSettings)
    engine = Agreeing(config.engine, config.setup(torch.device("cpu"), Crew()), [one])
    slabs = torch.rand((1, 5, 32, 32)) * 2.0 - 1.0
    flags = torch.ones(1, dtype=torch.bool)
    part = Sample(slabs, -slabs, flags, torch.zeros_like(flags))
    return engine.step([part], Moment(0, 0.0, 1.0), Crew())


def test_only_what_is_inside_and_no_bone_of_both_counts() -> None:
    inside = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 3)
    together = torch.tensor([0.0, 0.9, 0.0]).reshape(1, 1, 1, 3)
    made = torch.tensor([0.2, 0.7, 0.9]).reshape(1, 1, 1, 3).requires_grad_()
    apart = disagreement(made, together, inside, most=0.5)
    apart.backward()
    assert float(apart.detach()) == pytest.approx(0.1)  # 0.2 of two voxels
    assert made.grad is not None
    assert made.grad.flatten().tolist() == pytest.approx([0.5, 0.0, 0.0])
    # The control: with bone counted as dense as it is, the second voxel is pulled too.
    assert float(disagreement(made, together, inside, most=1.0).detach()) == pytest.approx(0.2)


def test_equal_contrasts_agree_and_others_do_not() -> None:
    alike = losses_of_a_step(visit(brain(0), brain(0)))
    apart = losses_of_a_step(visit(brain(0), brain(1)))
    assert float(alike["agreement"]) == pytest.approx(0.0, abs=1e-3)
    assert float(apart["agreement"]) > 10.0 * float(alike["agreement"])
    assert float(apart["generator"]) > float(alike["generator"])


def test_a_patch_is_of_one_place_in_all_contrasts_and_mirrored_every_other_time() -> None:
    place = torch.arange(7 * 40 * 32, dtype=torch.float32).reshape(7, 40, 32)
    one, rng = Visit(torch.stack([place, place + 1e6]), place), np.random.default_rng(0)
    mirrored = []
    for _ in range(40):
        values, inside = one.patch(rng, depth=5, size_px=24)
        assert values.shape == (2, 5, 24, 24)
        assert torch.equal(values[0], inside)
        assert torch.equal(values[1], inside + 1e6)
        mirrored.append(bool(inside[0, 0, 0] > inside[0, 1, 0]))
    assert 10 < sum(mirrored) < 30


def test_weights_go_a_share_of_the_way() -> None:
    before, after = {"w": torch.tensor([0.0, 4.0])}, {"w": torch.tensor([8.0, 4.0])}
    assert between(before, after, share=0.75)["w"].tolist() == [6.0, 4.0]
    assert between(before, after, share=0.0)["w"].tolist() == [0.0, 4.0]


def test_the_card_names_the_visits_once_and_what_was_done_each_time() -> None:
    card = load_model("head-mr-ct").card
    once = told(card.model_copy(update={"training": plain(card.training)}), steps=5, minutes=6.0)
    twice = told(once, steps=7, minutes=6.0)
    for found, times in ((once, 1), (twice, 2)):
        assert found.training.data.count(OPENMS) == 1
        assert found.training.method.count("are to agree (weight 0.6, up to 400 HU)") == times
    assert twice.training.hours == pytest.approx(0.2)
    assert twice.scores == ()


def plain(training: Training) -> Training:
    """A training without visits."""
    return training.model_copy(update={"data": training.data[:1], "method": "plain", "hours": 0.0})
