"""The summary of a run, and so of its model's card, says what is trained and not what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.run import settings_of
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import shipped_configs


def summary_of(name: str, *changes: str) -> str:
    return settings_of(name, RunFolder(Path("none")), changes=changes, resume=False).summary


def written(name: str) -> str:
    return read_settings(shipped_configs()[name], TrainConfig).summary


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("mr_ct", ("data.pairs=by-name",), "cyclegan, pairs by name, 2.5D, slabs of 5 slices"),
        ("mr_ct", ("data.depth=1",), "cyclegan, unpaired, 2D"),
        ("t1_t2", ("generator.kind=unet", "generator={kind: unet}"), "cyclegan, unpaired, 2D"),
        ("mr_ct", ("engine={kind: contrastive}",), "contrastive, unpaired, 2.5D"),
    ],
)
def test_another_training_than_the_file_s_is_told(
    name: str, changes: tuple[str, ...], says: str
) -> None:
    said = summary_of(name, *changes)
    assert said.startswith(says)
    assert said.endswith(f"changed from {name}")


@pytest.mark.parametrize("changes", [(), ("steps=50", "seed=3", "engine.losses.cycle=5")])
def test_the_same_kind_of_training_keeps_the_summary_of_the_file(changes: tuple[str, ...]) -> None:
    assert summary_of("mr_ct", *changes) == written("mr_ct")


def test_a_summary_of_one_s_own_stays() -> None:
    assert summary_of("mr_ct", "data.pairs=by-name", "summary=as I say") == "as I say"
