"""A training as a whole: it learns, from pairs or without, and says what it did."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

import medcyclegan
from medcyclegan.errors import UsageError
from medcyclegan.training.checkpoint import BEST, LAST, TrainState, read_checkpoint
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import TrainingData
from medcyclegan.training.validation import choose_samples, make_rows, validate
from tests.training.tiny_training import (
    fresh,
    gan_settings,
    run_tiny,
    tiny_config,
    tiny_data,
    tiny_job,
)

CPU = torch.device("cpu")
PAIRS_ONLY = {"adversarial": 0.0, "cycle": 0.0, "identity": 0.0, "paired_l1": 1.0}


def error_of(state: TrainState, config: TrainConfig, data: TrainingData) -> float:
    """The error of a to b on cases that are not trained on, as a share of the range."""
    return validate(state.engine.exported(), data.validation, config, CPU)[0].error


@pytest.mark.parametrize(
    ("losses", "pair_every", "steps"),
    [({"cycle": 5.0, "identity": 2.0}, 0, 100), (PAIRS_ONLY, 1, 60)],
    ids=["unpaired", "pairs only"],
)
def test_a_run_learns(
    losses: dict[str, float], pair_every: int, steps: int, tmp_path: Path
) -> None:
    plain = {"losses": losses, "steps": steps, "decay_from": 0.5,
             "validate_every": steps, "log_every": steps, "checkpoint_every": steps}  # fmt: skip
    config, data = tiny_config(**plain), tiny_data(pair_every=pair_every)
    untrained = error_of(fresh(config), config, data)
    trained = error_of(run_tiny(tiny_job(tmp_path / "run", config, data)), config, data)
    assert trained < 0.5 * untrained
    # The control: at a rate of nothing it does not learn.
    idle = tiny_config(**plain | {"steps": 10, "decay_from": 1.0, "generator_rate": 1e-9})
    idled = error_of(run_tiny(tiny_job(tmp_path / "idle", idle, data)), idle, data)
    assert idled > 0.9 * untrained


def test_pairs_teach_only_where_there_are_some(tmp_path: Path) -> None:
    config = tiny_config(losses=PAIRS_ONLY, log_every=1)
    for pair_every, some in ((0, False), (1, True)):
        job = tiny_job(tmp_path / f"{pair_every}", config, tiny_data(pair_every=pair_every))
        run_tiny(job)
        with job.folder.metrics.open(newline="") as file:
            assert any(float(row["paired_l1"]) > 0 for row in csv.DictReader(file)) is some


def test_what_a_run_leaves_behind(tmp_path: Path) -> None:
    config = tiny_config(panel_every=4, panel_steps=(1,))
    job = tiny_job(tmp_path, config)
    state = run_tiny(job)
    folder = job.folder
    panels = sorted(path.name for path in folder.panels.iterdir())
    assert panels == ["step_0000001.png", "step_0000004.png", "step_0000006.png"]
    image = imread(folder.panels / panels[0])
    assert image.std() > 0.05
    assert image.shape[0] > 200
    assert any(path.stat().st_size > 1000 for path in folder.tensorboard.iterdir())
    with folder.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    names = ("adversarial", "cycle", "identity", "structure", "gradient", "paired_l1")
    assert {*names, "generator", "discriminator_a", "discriminator_b"} < set(rows[0])
    for row in rows:
        weights = gan_settings(config).losses.model_dump()
        total = sum(weights[name] * float(row[name]) for name in names)
        assert float(row["generator"]) == pytest.approx(total, rel=1e-4)
    best = read_checkpoint(folder.checkpoints / BEST)
    assert set(best) == {"config", "step", "seconds", "averages"}
    with folder.validation.open(newline="") as file:
        validations = list(csv.DictReader(file))
    errors = {
        way: [float(row["error"]) for row in validations if row["direction"] == way]
        for way in ("a-to-b", "b-to-a")
    }
    means = [sum(pair) / 2 for pair in zip(*errors.values(), strict=True)]
    assert state.best == pytest.approx(min(means), rel=1e-4)


def test_the_log_has_the_same_columns_in_the_warm_up_and_after_it(tmp_path: Path) -> None:
    warmup = {"share": 0.5, "losses": {"adversarial": 0, "cycle": 0, "identity": 1}}
    job = tiny_job(tmp_path, tiny_config(warmup=warmup))
    run_tiny(job)
    with job.folder.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cycle"] == "nan" for row in rows] == [True, False, False]  # steps 1-2, 3-4, 5-6
    assert [row["discriminator_a"] == "nan" for row in rows] == [True, False, False]
    assert not any(row["identity"] == "nan" or None in row for row in rows)


def test_the_rows_of_a_panel_are_what_they_are_called() -> None:
    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x

    data = tiny_data()
    samples = choose_samples(data, depth=3)
    rows = make_rows(
        {"a-to-b": Half(), "b-to-a": torch.nn.Identity()}, samples, torch.device("cpu")
    )
    assert [row.direction for row in rows] == ["a-to-b"] * 2 + ["b-to-a"] * 2
    case = data.validation[0]
    assert case.a is not None
    assert case.b is not None
    expected = {"input": case.a[2], "output": 0.5 * case.a[2], "back again": 0.5 * case.a[2],
                "truth": case.b[2]}  # fmt: skip
    assert rows[0].images.keys() == expected.keys()
    for title, image in expected.items():
        assert torch.equal(rows[0].images[title], image)
    unpaired = choose_samples(tiny_data(paired=False), depth=3)
    (row, *_) = make_rows({"a-to-b": Half()}, unpaired, CPU)
    assert list(row.images) == ["input", "output"]
    assert len(choose_samples(tiny_data(cases=0), depth=3)) == 3


def test_workers_give_the_same_training(tmp_path: Path) -> None:
    one = run_tiny(tiny_job(tmp_path / "one", tiny_config(workers=0, steps=4)))
    two = run_tiny(tiny_job(tmp_path / "two", tiny_config(workers=2, steps=4)))
    for way, generator in one.engine.exported().items():
        for name, weight in generator.state_dict().items():
            assert torch.equal(weight, two.engine.exported()[way].state_dict()[name]), name
    assert read_checkpoint(tmp_path / "two" / "checkpoints" / LAST)["step"] == 4


def test_patience_ends_a_training_that_gets_no_better(tmp_path: Path) -> None:
    idle = {"generator_rate": 1e-12, "discriminator_rate": 1e-12, "ema_decay": 0.0}
    config = tiny_config(steps=200, validate_every=2, patience=3, **idle)
    state = run_tiny(tiny_job(tmp_path / "idle", config))
    assert state.step <= 14
    assert read_checkpoint(tmp_path / "idle" / "checkpoints" / LAST)["worse"] == state.worse >= 3
    # the control: without it the training goes on to its end
    assert (
        run_tiny(tiny_job(tmp_path / "on", tiny_config(steps=20, validate_every=2, **idle))).step
        == 20
    )


def test_training_by_a_call_of_python(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="source is Folders or LabelMaps"):
        medcyclegan.train("mr_ct", None, tmp_path / "run")
    with pytest.raises(UsageError, match="holds no run"):
        medcyclegan.train("mr_ct", None, tmp_path / "run", resume=True)
