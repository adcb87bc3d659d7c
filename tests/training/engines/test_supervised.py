"""The supervised engine: losses by hand, pairs alone count, it learns with each optimiser."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from medcyclegan.training.checkpoint import TrainState
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample, TrainingData, ValidationCase
from medcyclegan.training.engines.base import Losses, Moment
from medcyclegan.training.losses import l1_loss, l2_loss, two_hot_cross_entropy
from medcyclegan.training.parallel import Crew
from tests.training.tiny_training import (
    Shapes,
    differing,
    fresh,
    run_tiny,
    shapes,
    tiny_config,
    tiny_data,
    tiny_job,
)

LEVELS = (-1.0, 0.0, 1.0)
WITH_LEVELS = {"widths": (4, 4), "levels": LEVELS}
KINDS = pytest.mark.parametrize(
    "generator",
    [WITH_LEVELS, {"widths": (4, 4)}, {"widths": (4, 4), "residual": True}],
    ids=["levels", "plain", "residual"],
)


def batch(*numbers: int, paired: tuple[bool, ...] | None = None) -> Sample:
    """Smooth noise, and as its target the negative of half of it."""
    a = torch.stack([shapes(number) for number in numbers])
    return Sample(a, -0.5 * a, torch.tensor(paired or (True,) * len(numbers)))


def step(state: TrainState, part: Sample) -> Losses:
    losses = state.engine.step([part], Moment(state.step, 0.0, 1.0), Crew())
    state.step += 1
    return losses


def config(**changes: Any) -> TrainConfig:
    return tiny_config(engine="supervised", **changes)


def test_the_losses_are_those_of_the_output() -> None:
    made = config(border_weight=0.0, volume_weight=0.0, density_weight=0.0)
    state, part = fresh(made), batch(0, 1)
    generator = state.engine.generators()["a-to-b"]
    with torch.no_grad():
        fake = generator(part.a)
        logits = generator.head.logits(generator.features(part.a))
    expected = {
        "l1": float(l1_loss(fake, part.b)),
        "l2": float(l2_loss(fake, part.b)),
        "levels": float(two_hot_cross_entropy(logits, part.b, torch.tensor(LEVELS)).mean()),
    }
    expected["generator"] = expected["l1"] + 3.0 * expected["l2"] + 0.3 * expected["levels"]
    found = step(state, part)
    assert {name: float(loss) for name, loss in found.items()} == pytest.approx(expected, rel=1e-4)
    assert set(state.engine.loss_names()) == set(found)


def test_bone_has_losses_where_the_target_is_in_hu() -> None:
    bone = {"border", "volume", "density"}
    assert bone < set(step(fresh(config()), batch(0)))
    data = config().data.model_dump()
    data["b"] = {"modality": "MR", "unit": "a.u.", "scaling": data["b"]["scaling"]}
    assert not bone & set(step(fresh(config(data=data)), batch(0)))
    for name in bone:  # each by itself
        alone = {f"{other}_weight": 0.0 for other in bone - {name}}
        assert bone & set(step(fresh(config(**alone)), batch(0))) == {name}


def test_items_that_are_no_pairs_teach_nothing() -> None:
    mixed, alone, both = (fresh(config()) for _ in range(3))
    strange = batch(0, 1, paired=(True, False))
    strange.b[1] = float("nan")  # other anatomy, or nothing
    losses = step(mixed, strange)
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    half = step(alone, batch(0))
    assert float(losses["l1"]) == pytest.approx(0.5 * float(half["l1"]), rel=1e-5)
    step(both, batch(0, 1))  # the control
    assert float(losses["l1"]) != pytest.approx(float(step(both, batch(0, 1))["l1"]), rel=1e-3)


@KINDS
@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_it_learns(generator: dict[str, Any], optimiser: str) -> None:
    changes = {"generator": generator, "optimiser": optimiser, "learning_rate": 2e-2}
    state, idle = fresh(config(**changes)), fresh(config(**changes | {"learning_rate": 1e-9}))
    for number in range(60):
        step(state, batch(2 * number, 2 * number + 1))
        step(idle, batch(2 * number, 2 * number + 1))
    held_back = batch(500, 501)

    def error(of: TrainState) -> float:
        with torch.no_grad():  # the moving average is the model that ships
            return float(l1_loss(of.engine.exported()["a-to-b"](held_back.a), held_back.b))

    assert error(state) < 0.6 * error(idle)


def test_the_seed_fixes_the_first_weights() -> None:
    assert differing(fresh(config()), fresh(config())) == []
    assert differing(fresh(config()), fresh(config(seed=4))) != []


def test_several_channels_go_through_training_validation_and_panels(tmp_path: Path) -> None:
    data = config().data.model_dump()
    data["a"]["channels"] = ("one", "two")

    class Two(Shapes):
        def __getitem__(self, index: int) -> Sample:
            first, second = shapes(2 * index), shapes(2 * index + 1)
            return Sample(torch.stack([first, second]), 0.5 * (first - second), torch.tensor(True))

    volume = torch.stack([shapes(-1, depth=5), shapes(-2, depth=5)])
    case = ValidationCase("one", volume, 0.5 * (volume[0] - volume[1]), None, paired=True)
    made = config(data=data, steps=60, learning_rate=2e-2, panel_every=30, validate_every=20)
    job = tiny_job(tmp_path, made, TrainingData(Two(), [case], tiny_data().summary))
    run_tiny(job)
    with job.folder.validation.open(newline="") as file:
        maes = [float(row["mae"]) for row in csv.DictReader(file)]
    assert maes[-1] < 0.8 * maes[0]
    assert len(list(job.folder.panels.iterdir())) == 2


@pytest.mark.parametrize(
    ("engine", "told"),
    [("cyclegan", "losses.identity compares both sides"), ("contrastive", "as many channels")],
)
def test_engines_that_compare_both_sides_refuse_other_channels(engine: str, told: str) -> None:
    data = config().data.model_dump()
    data["a"]["channels"] = ("one", "two")
    with pytest.raises(ValidationError, match=told):
        tiny_config(engine=engine, data=data)
