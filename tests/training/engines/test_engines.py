"""The seam of engines: a further one is a class and a line in the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from medcyclegan.errors import UsageError
from medcyclegan.models.store import load_model
from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines import registry
from medcyclegan.training.engines.base import (
    Direction,
    Engine,
    EngineSettings,
    Losses,
    Moment,
    MovingAverage,
    Setup,
    mean_losses,
    set_rate,
)
from medcyclegan.training.engines.supervised import SupervisedSettings
from medcyclegan.training.export import export_run
from medcyclegan.training.parallel import Crew
from medcyclegan.training.settings import checked
from tests.training.tiny_training import (
    differing,
    run_tiny,
    tiny_config,
    tiny_job,
)


class ToySettings(EngineSettings):
    kind: Literal["toy"] = "toy"
    rate: float = 0.01

    @property
    def base_rate(self) -> float:
        return self.rate

    def describe(self, generator: GeneratorConfig) -> str:
        return "towards the mean of B"


class Toy(Engine):
    """Learns the mean of B by SGD with momentum."""

    settings_type = ToySettings

    def __init__(self, settings: ToySettings, setup: Setup) -> None:
        super().__init__(settings, setup)
        self.settings = settings
        self.generator = make_generator(setup.generator, depth=setup.tasks["a-to-b"].depth)
        self.averages = {"a-to-b": MovingAverage(self.generator, decay=setup.ema_decay)}
        self.optimiser = torch.optim.SGD(self.generator.parameters(), lr=1.0, momentum=0.9)

    def generators(self) -> Mapping[Direction, nn.Module]:
        return {"a-to-b": self.generator}

    def networks(self) -> Mapping[str, nn.Module]:
        return {"a-to-b": self.generator}

    def optimisers(self) -> Mapping[str, Any]:
        return {"sgd": self.optimiser}

    def loss_names(self) -> Sequence[str]:
        return ["mean"]

    def step(self, parts: Sequence[Sample], moment: Moment, crew: Crew) -> Losses:
        self.optimiser.zero_grad()
        losses = [
            {"mean": (self.generator(part.a).mean() - part.b.mean()).square()} for part in parts
        ]
        torch.stack([some["mean"] for some in losses]).mean().backward()
        self.settle_gradients(self.generator.parameters(), crew)
        set_rate(self.optimiser, self.settings.rate * moment.rate_factor)
        self.optimiser.step()
        self.averages["a-to-b"].update(self.generator)
        return mean_losses(losses)


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registry.ENGINES, "toy", Toy)
    TrainConfig.model_rebuild(force=True)
    yield
    monkeypatch.undo()
    TrainConfig.model_rebuild(force=True)


@pytest.mark.usefixtures("_toy")
def test_a_further_engine_trains_resumes_and_is_exported(tmp_path: Path) -> None:
    config = tiny_config(engine="toy")
    whole = run_tiny(tiny_job(tmp_path / "whole", config))
    short = tiny_config(engine="toy", steps=3, decay_from=1.0)
    run_tiny(tiny_job(tmp_path / "two", short))
    resumed = run_tiny(tiny_job(tmp_path / "two", config), resume=True)
    # constant rates up to the fourth step: the first three are the same in both
    assert differing(whole, resumed) == []
    job = tiny_job(tmp_path / "whole", config)
    card = export_run(job.folder, tmp_path / "model", direction="a-to-b", version="1")
    assert card.training.method.startswith("towards the mean of B")
    load_model(tmp_path / "model")


def test_an_engine_that_is_not_there_is_refused_and_those_that_are_are_named() -> None:
    content = tiny_config().model_dump()
    content["engine"] = {"kind": "toy"}
    with pytest.raises(
        UsageError, match=r"engine\.kind = toy; .*'contrastive', 'cyclegan', 'supervised'"
    ):
        checked(content, TrainConfig, where="mine.yaml")


@pytest.mark.parametrize("name", sorted(registry.ENGINES))
def test_an_engine_is_one_file_of_less_than_300_lines(name: str) -> None:
    path = Path(registry.__file__).with_name(f"{name}.py")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize("name", sorted(registry.ENGINES))
def test_settings_survive_json_and_keys_are_told_without_kinds(name: str) -> None:
    made = tiny_config(engine=name)
    assert TrainConfig.model_validate_json(made.model_dump_json()) == made
    content = made.model_dump()
    content["engine"]["odd"] = 1
    with pytest.raises(UsageError, match=r"mine\.yaml: engine\.odd = 1"):
        checked(content, TrainConfig, where="mine.yaml")


def test_a_card_tells_of_losses_that_the_network_has() -> None:
    settings = SupervisedSettings()
    plain = GeneratorConfig(widths=(4, 8))
    levelled = GeneratorConfig(widths=(4, 8), levels=(-1.0, 0.0, 1.0))
    assert "levels 0.3" in settings.describe(levelled)
    assert "levels" not in settings.describe(plain)
