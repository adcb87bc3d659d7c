"""A resumed run is an uninterrupted run, to the last bit; and a run learns."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.pairs import PairsRun, train_on_pairs
from medcyclegan.training.pairs_config import PairsConfig
from tests.tiny_model import TINY
from tests.training.tiny_pairs import tiny_pairs

LEVELS = TINY.model_copy(update={"levels": (-1.0, 0.0, 1.0)})
RESIDUAL = TINY.model_copy(update={"residual": True})
KINDS = pytest.mark.parametrize("generator", [TINY, LEVELS, RESIDUAL])


class Made(Dataset[tuple[Tensor, Tensor]]):
    """Item n is fixed by n: smooth noise, and as its target the negative of half of it."""

    def __init__(self, *, stop_at: int | None = None, seed: int = 0) -> None:
        self.stop_at, self.seed = stop_at, seed

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self.stop_at:
            raise InterruptedError(f"item {index}")
        noise = torch.Generator().manual_seed(1000 * self.seed + index)
        mr = torch.randn((2, 3, 4, 4), generator=noise).clamp(-1.0, 1.0)
        mr = torch.nn.functional.interpolate(mr, size=(16, 16), mode="bilinear")
        return mr, -0.5 * mr


def config(**changes: Any) -> PairsConfig:
    plain = {
        "seed": 3, "items_a_step": 2, "learning_rate": 1e-2, "ema_decay": 0.9,
        "checkpoint_every": 3,
    }  # fmt: skip
    return tiny_pairs(**{**plain, **changes})


def state(run: PairsRun) -> dict[str, Tensor]:
    moments = {
        f"{kind}.{number}.{name}": value
        for kind, held in run.optimiser.state_dict().items()
        for number, slots in held["state"].items()
        for name, value in slots.items()
    }
    ema = {f"ema.{name}": value for name, value in run.ema.state_dict().items()}
    return {**run.generator.state_dict(), **ema, **moments}


def differing(one: PairsRun, other: PairsRun) -> list[str]:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    return [name for name, value in ours.items() if not torch.equal(value, theirs[name])]


@KINDS
def test_a_resumed_run_is_an_uninterrupted_run(generator: GeneratorConfig, tmp_path: Path) -> None:
    made = config(generator=generator)
    whole = PairsRun(made)
    train_on_pairs(whole, Made(), tmp_path / "whole")

    broken = PairsRun(made)
    with pytest.raises(InterruptedError):
        train_on_pairs(broken, Made(stop_at=9), tmp_path / "broken")  # in the fifth step
    resumed = PairsRun(made)
    resumed.load(tmp_path / "broken" / "last.pt")
    assert resumed.step == 3
    train_on_pairs(resumed, Made(), tmp_path / "broken")

    assert whole.step == resumed.step == 6
    assert differing(whole, resumed) == []
    loaded = PairsRun(made)
    loaded.load(tmp_path / "broken" / "last.pt")
    assert differing(whole, loaded) == []

    # The controls: other data, or a resume that forgets the optimiser, are seen.
    other = PairsRun(made)
    train_on_pairs(other, Made(seed=1), tmp_path / "other")
    assert len(differing(whole, other)) > 10
    forgetful = PairsRun(made)
    fresh = forgetful.optimiser.state_dict()
    train_on_pairs(_stopped(forgetful, tmp_path), Made(), tmp_path / "none")
    forgetful.load(tmp_path / "stopped" / "last.pt")
    forgetful.optimiser.load_state_dict(fresh)
    train_on_pairs(forgetful, Made(), tmp_path / "forgetful")
    assert len(differing(whole, forgetful)) > 10


def _stopped(run: PairsRun, tmp_path: Path) -> PairsRun:
    """A run of the same config after its first checkpoint."""
    with pytest.raises(InterruptedError):
        train_on_pairs(run, Made(stop_at=6), tmp_path / "stopped")
    return run


@KINDS
def test_a_run_learns(generator: GeneratorConfig, tmp_path: Path) -> None:
    run = PairsRun(config(steps=150, decay_from_step=60, learning_rate=2e-2, generator=generator))
    train_on_pairs(run, Made(), tmp_path)
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [25, 50, 75, 100, 125, 150]
    assert float(rows[-1]["l1"]) < 0.5 * float(rows[0]["l1"])
    mr, ct = (part.flatten(0, 1)[None] for part in Made()[500])
    with torch.no_grad():
        averaged = float((run.ema(mr[0, :3][None]) - ct[0, :3][None]).abs().mean())
        zero = float(ct[0, :3].abs().mean())
    assert averaged < 0.7 * zero  # the moving average is the model that ships


def test_the_seed_fixes_the_first_weights() -> None:
    assert differing(PairsRun(config()), PairsRun(config())) == []
    assert differing(PairsRun(config()), PairsRun(config(seed=4))) != []


def test_checkpoints_are_whole_and_leave_nothing_else(tmp_path: Path) -> None:
    run = PairsRun(config(steps=2))
    train_on_pairs(run, Made(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "losses.csv"]
    larger = PairsRun(config(generator=TINY.model_copy(update={"widths": (4, 8)})))
    with pytest.raises(RuntimeError, match="size mismatch"):
        larger.load(tmp_path / "last.pt")


def test_the_log_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path: Path) -> None:
    made = config(steps=75, decay_from_step=75, checkpoint_every=40, items_a_step=1)
    with pytest.raises(InterruptedError):
        train_on_pairs(PairsRun(made), Made(stop_at=60), tmp_path)
    resumed = PairsRun(made)
    resumed.load(tmp_path / "last.pt")
    train_on_pairs(resumed, Made(), tmp_path)
    with (tmp_path / "losses.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [25, 50, 75]
