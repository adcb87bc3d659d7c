"""A training begins with the weights of a model, if they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from medcyclegan.errors import ModelRefused, UsageError
from medcyclegan.models.store import load_model
from medcyclegan.training.checkpoint import begin, initial_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.export import export_run
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from tests.training.tiny_training import fresh, run_tiny, tiny_config, tiny_job


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run, exported from A to B."""
    folder = tmp_path_factory.mktemp("begin")
    job = tiny_job(folder / "run")
    run_tiny(job)
    export_run(job.folder, folder / "model", direction="a-to-b", version="1")
    return folder / "model"


def asked(model: Path, **changes: Any) -> TrainConfig:
    return tiny_config(init_from=str(model), seed=77, **changes)


def test_generator_and_average_begin_with_the_model_and_the_way_back_does_not(model: Path) -> None:
    config = asked(model)
    state, alone = fresh(config), fresh(config)
    begin(state.engine, config)
    wanted = load_model(model).generator.state_dict()
    for generator in (state.engine.generators()["a-to-b"], state.engine.exported()["a-to-b"]):
        assert all(torch.equal(value, wanted[n]) for n, value in generator.state_dict().items())
    back, new = (s.engine.generators()["b-to-a"].state_dict() for s in (state, alone))
    assert all(torch.equal(back[name], new[name]) for name in back)
    # the control: without it, the weights are those of the seed
    there = alone.engine.generators()["a-to-b"].state_dict()
    assert not all(torch.equal(there[name], wanted[name]) for name in wanted)
    begin(alone.engine, tiny_config(seed=77))
    again = alone.engine.generators()["a-to-b"].state_dict()
    assert all(torch.equal(again[name], there[name]) for name in again)


def test_a_run_goes_on_from_the_model_and_its_card_says_so(model: Path, tmp_path: Path) -> None:
    # with rates of next to nothing, what is trained stays where it began
    config = asked(model, generator_rate=1e-9, discriminator_rate=1e-9)
    job = tiny_job(tmp_path / "run", config)
    run_tiny(job)
    card = export_run(job.folder, tmp_path / "b", direction="a-to-b", version="1")
    wanted, found = (load_model(f).generator.state_dict() for f in (model, tmp_path / "b"))
    assert max(float((wanted[n] - found[n]).abs().max()) for n in wanted) < 1e-3
    assert f"weights of the model {model}" in [source.name for source in card.training.data]
    run_tiny(tiny_job(tmp_path / "run", config), resume=True)
    # a checkpoint of an earlier version, which called the key begin_from
    last = job.folder.checkpoints / "last.pt"
    content = torch.load(last, weights_only=True)
    assert '"init_from"' in content["config"]
    content["config"] = content["config"].replace('"init_from"', '"begin_from"')
    torch.save(content, last)
    export_run(job.folder, tmp_path / "c", direction="a-to-b", version="1")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"generator": {"widths": (4, 8)}},
            r"generator\.widths is \(4, 8\) here and \(4, 4\) there",
        ),
        ({"generator": {"widths": (4, 4), "residual": True}}, r"generator\.residual is True here"),
        (
            {"generator": {"widths": (4, 4), "levels": (-1.0, 0.0, 1.0)}},
            r"generator\.levels is 3 in number here and 0 in number there",
        ),
    ],
)
def test_what_does_not_fit_is_told_by_key(model: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        initial_model(asked(model, **changes))


def test_another_window_does_not_fit(model: Path) -> None:
    config = asked(model)
    scaling = {"kind": "window", "lower": -1000.0, "upper": 1000.0}
    data = config.data.model_dump()
    data["b"]["scaling"] = scaling
    with pytest.raises(UsageError, match=r"data\.b\.scaling is .*1000.* here and .*2000.* there"):
        initial_model(asked(model, data=data))


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="No model"):
        initial_model(asked(tmp_path / "none"))
    assert initial_model(tiny_config()) is None


def test_the_shipped_configuration_fits_the_shipped_model() -> None:
    config = read_settings(find_config("mr_ct_finetune"), TrainConfig)
    model = initial_model(config)
    assert model is not None
    assert model.card.name == "head-mr-ct"
    # its levels too: a training that has hardly begun gives what the shipped model gives
    assert config.generator == model.card.generator
