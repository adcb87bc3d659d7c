"""The settings of a run: checked by key, and the learning rate that they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medcyclegan.training.pairs_config import PairsConfig, read_config
from pydantic import ValidationError
from tests.training.tiny_pairs import CARD, tiny_pairs

import medcyclegan
from medcyclegan.errors import ExitCode, UsageError
from medcyclegan.networks.factory import make_generator
from medcyclegan.task import Domain, Percentiles, Window
from medcyclegan.training.shipped import find_config, shipped_configs, shipped_pairs_configs
from tests.tiny_model import tiny_task

CONFIGS = Path(medcyclegan.__file__).parent.parent / "configs"


def config(**changes: Any) -> PairsConfig:
    return tiny_pairs(**{"steps": 100, "decay_from_step": 60, **changes})


def test_the_rate_is_constant_then_linear_to_a_hundredth() -> None:
    made = config(learning_rate=1e-3)
    assert [made.rate_at(step) for step in (0, 59, 60)] == pytest.approx([1e-3] * 3)
    assert made.rate_at(80) == pytest.approx(5e-4)
    assert made.rate_at(99) == pytest.approx(2.5e-5)
    assert made.rate_at(100) == pytest.approx(1e-5)
    rates = [made.rate_at(step) for step in range(101)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("start", [100, 1000])
def test_a_decay_that_never_starts(start: int) -> None:
    made = config(decay_from_step=start, learning_rate=1e-3)
    assert made.rate_at(99) == 1e-3


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"gradient_weight": 0.1}, "gradient_weight"),
        ({"level_weight": -0.1}, "level_weight"),
        ({"size_px": 8}, "size_px"),
        ({"workers": -1}, "workers"),
        ({"items_a_step": 0}, "items_a_step"),
        ({"step": 5}, "step"),
        ({"task": {"name": "x"}}, "task.source"),
        ({"generator": {"widths": [4, 1]}}, "generator.widths.1"),
        ({"generator": {"kind": "resnet"}}, ""),
        ({"generator": {"levels": [0.5, -0.5]}}, "generator"),
        ({"pairs": {"source": "flair"}}, "pairs.source"),
        ({"pairs": {"source": "ct", "target": "ct"}}, "pairs"),
        ({"pairs": {"source": "low_dose_ct", "target": "t1"}}, "pairs"),
        ({"pairs": {"source": "ct", "target": "t1"}}, ""),  # the task is MR to CT
        ({"pairs": {"source": "t1", "target": "t2"}}, ""),
        ({"task": tiny_task(spacing_mm=None)}, ""),
        ({"card": {**CARD, "limits": []}}, "card.limits"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    first = refused.value.errors()[0]
    assert ".".join(str(part) for part in first["loc"]) == key


def test_it_is_frozen_and_survives_json() -> None:
    made = config()
    assert PairsConfig.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValidationError, match="frozen"):
        made.steps = 5  # type: ignore[misc]


def ct_domain(low: float, high: float) -> Domain:
    return Domain(modality="CT", unit="HU", scaling=Window(lower=low, upper=high))


def test_low_dose_ct_keeps_its_own_pixels_and_the_others_do_not() -> None:
    pairs = {"source": "low_dose_ct", "target": "ct"}
    task = tiny_task(source=ct_domain(-1000, 2000), spacing_mm=None)
    assert config(pairs=pairs, task=task).task.keeps_values
    with pytest.raises(ValidationError, match="spacing_mm is null for low_dose_ct"):
        config(pairs=pairs, task=task.model_copy(update={"spacing_mm": 1.0}))
    relative = task.source.model_copy(update={"scaling": Percentiles(lower=1, upper=99)})
    with pytest.raises(ValidationError, match="a CT source needs a window"):
        config(pairs=pairs, task=task.model_copy(update={"source": relative}))


NAMES = {
    "head_mr_ct": ("head-mr-ct", "random", "ct"),
    "head_ct_mr": ("head-ct-mr", "ct", "t1"),
    "head_t1_t2": ("head-t1-t2", "t1", "t2"),
    "head_t2_t1": ("head-t2-t1", "t2", "t1"),
    "head_ct_denoise": ("ct-denoise", "low_dose_ct", "ct"),
}


def test_the_configs_of_the_shipped_models_are_valid_and_are_what_they_are_called() -> None:
    found = shipped_pairs_configs()
    assert found.keys() == NAMES.keys()
    assert not found.keys() & shipped_configs().keys()
    for name, path in found.items():
        made = read_config(path)
        assert (made.card.name, made.pairs.source, made.pairs.target) == NAMES[name]
        assert made.decay_from_step < made.steps
        assert find_config(name, on_pairs=True) == path
    with pytest.raises(UsageError, match="one of head_ct_denoise, "):
        find_config("mr_ct", on_pairs=True)


def test_the_models_together_are_small() -> None:
    weights = 0
    for path in shipped_pairs_configs().values():
        made = read_config(path)
        generator = make_generator(made.generator, depth=made.task.depth)
        weights += sum(weight.numel() for weight in generator.parameters())
    assert 2 * weights < 20e6  # bytes, in half precision


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps: ", "stepz: "), "steps"),
        (("depth: 5", "depth: 4"), "depth 4 must be odd"),
        (("workers: 1", "workers: many"), r"workers = 'many'"),
        (("ema_decay: 0.999", "ema_decay: 2.0"), r"ema_decay = 2\.0; .*less than 1"),
        (("task:", "task: ["), "cannot be read as YAML"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    text = (CONFIGS / "head_mr_ct.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=message) as refused:
        read_config(path)
    assert refused.value.exit_code == ExitCode.USAGE
    assert "mine.yaml" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe\x00x", b"!!python/object:os.x {}"])
def test_what_is_no_config_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        read_config(path)
    with pytest.raises(UsageError, match="none"):
        read_config(tmp_path / "none.yaml")
