"""Model folders: opened only if all fits, refused by name if not, and never run as code."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from medcyclegan.errors import CannotWrite, ExitCode, ModelRefused
from medcyclegan.models.store import (
    CARD_NAME,
    WEIGHTS_NAME,
    find_model,
    load_model,
    read_card,
    save_model,
    shipped_models,
)
from tests.tiny_model import tiny_card, tiny_folder, tiny_weights

SLAB = torch.linspace(-1.0, 1.0, 3 * 8 * 8).reshape(1, 3, 8, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


def sign(folder: Path, weights: bytes) -> None:
    """Put other weights into a model folder, with the sha256 on its card made to fit."""
    (folder / WEIGHTS_NAME).write_bytes(weights)
    change_card(folder, weights_sha256=hashlib.sha256(weights).hexdigest())


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD_NAME).read_text())
    (folder / CARD_NAME).write_text(json.dumps({**card, **changes}))


def changed_task(**changes: Any) -> dict[str, Any]:
    return {**tiny_card().task.model_dump(), **changes}


def domain(*, upper: float) -> dict[str, Any]:
    scaling = {"kind": "window", "lower": -1000.0, "upper": upper}
    return {"modality": "CT", "unit": "HU", "scaling": scaling}


def with_weight(change: Callable[[torch.Tensor], torch.Tensor]) -> bytes:
    weights = tiny_weights()
    name = "stem.weight"
    return save({**weights, name: change(weights[name]).contiguous()})


def test_what_is_saved_is_loaded_in_half_precision(folder: Path) -> None:
    model = load_model(folder)
    raw = load((folder / WEIGHTS_NAME).read_bytes())
    assert {value.dtype for value in raw.values()} == {torch.float16}
    for name, value in model.generator.state_dict().items():
        assert torch.equal(value, tiny_weights()[name].half().float())
    assert not model.generator.training
    assert not any(value.requires_grad for value in model.generator.parameters())
    assert model.task == tiny_card().task
    assert (
        model.card.weights_sha256
        == hashlib.sha256((folder / WEIGHTS_NAME).read_bytes()).hexdigest()
    )
    assert model.generator(SLAB).shape == SLAB.shape


def test_saving_gives_the_card_that_is_read(tmp_path: Path) -> None:
    signed = save_model(tmp_path / "m", card=tiny_card(), weights=tiny_weights())
    assert read_card(tmp_path / "m") == signed
    assert signed.weights_sha256 != tiny_card().weights_sha256
    with pytest.raises(CannotWrite, match="exists already"):
        save_model(tmp_path / "m", card=tiny_card(), weights=tiny_weights())


def test_equal_weights_make_equal_files(folder: Path, tmp_path: Path) -> None:
    again, other = tiny_folder(tmp_path / "again"), tiny_folder(tmp_path / "other", seed=1)
    first = (folder / WEIGHTS_NAME).read_bytes()
    assert (again / WEIGHTS_NAME).read_bytes() == first
    assert (other / WEIGHTS_NAME).read_bytes() != first


def test_weights_that_do_not_fit_the_card_are_refused(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS_NAME).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_NAME).write_bytes(content)
    with pytest.raises(ModelRefused, match="sha256") as refused:
        load_model(folder)
    assert refused.value.exit_code == ExitCode.MODEL_REFUSED


@pytest.mark.parametrize("missing", [CARD_NAME, WEIGHTS_NAME])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelRefused, match=missing):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"name": ""}, "name: "),
        ({"name": 7}, "name: "),
        ({"weights_sha256": "xyz"}, "weights_sha256: "),
        ({"generator": {"kind": "shuffle_unet", "widths": [2, 4]}}, "generator.widths.0: "),
        ({"generator": {"kind": "shuffle_unet", "width": [4, 4]}}, "generator.width: Extra"),
        ({"task": None}, "task: "),
        ({"name": "../../etc/passwd"}, "name: "),
        ({"name": "/etc/passwd"}, "name: "),
        ({"name": "a" * 65}, "name: "),
        ({"version": "1\n2"}, "version: "),
        ({"summary": "\x1b]0;owned\x07"}, "summary: "),
        ({"limits": ["fine", "\x9b31m"]}, "limits.1: "),
        ({"generator": {"widths": [2**40]}}, "generator.widths.0: "),
        ({"generator": {"widths": [4], "blocks": 10**9}}, "generator.blocks: "),
        ({"task": changed_task(depth=10**9 + 1)}, "task.depth: "),
        ({"task": changed_task(spacing_mm=1e-6)}, "task.spacing_mm: "),
        ({"task": changed_task(spacing_mm=float("nan"))}, "task.spacing_mm: "),
        ({"task": {**changed_task(), "target": domain(upper=1e300)}}, "task.target.scaling"),
    ],
)
def test_a_card_that_breaks_a_rule_is_refused_by_its_key(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    change_card(folder, **changes)
    with pytest.raises(ModelRefused, match=message):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b" " * 1_000_001])
def test_what_is_no_card_is_refused(folder: Path, content: bytes) -> None:
    (folder / CARD_NAME).write_bytes(content)
    with pytest.raises(ModelRefused, match=CARD_NAME):
        load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    sign(folder, with_weight(lambda w: w.index_fill(0, torch.tensor([1]), value)))
    with pytest.raises(ModelRefused, match=r"stem\.weight holds NaN or infinity"):
        load_model(folder)


def test_wrong_shapes_and_names_are_refused(folder: Path) -> None:
    sign(folder, with_weight(lambda w: w[:, :-1]))
    with pytest.raises(ModelRefused, match=r"stem\.weight has shape .* needs"):
        load_model(folder)
    weights = tiny_weights()
    del weights["stem.bias"]
    sign(folder, save(weights))
    with pytest.raises(ModelRefused, match=r"tensor stem\.bias"):
        load_model(folder)
    sign(folder, save({**tiny_weights(), "odd": torch.zeros(1)}))
    with pytest.raises(ModelRefused, match="tensor odd"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.bool, torch.uint8])
def test_weights_of_another_type_are_refused(folder: Path, dtype: torch.dtype) -> None:
    sign(folder, with_weight(lambda w: w.to(dtype)))
    with pytest.raises(ModelRefused, match=r"stem\.weight is of torch\."):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_of_these_types_are_taken(folder: Path, dtype: torch.dtype) -> None:
    sign(folder, with_weight(lambda w: w.to(dtype)))
    assert load_model(folder).generator.stem.weight.dtype == torch.float32


def test_swapped_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tiny_folder(tmp_path / "other", seed=1)
    (folder / WEIGHTS_NAME).write_bytes((other / WEIGHTS_NAME).read_bytes())
    with pytest.raises(ModelRefused, match="sha256"):
        load_model(folder)


@pytest.mark.parametrize("name", [CARD_NAME, WEIGHTS_NAME])
def test_what_never_ends_is_not_read(folder: Path, name: str) -> None:
    for target in ("/dev/zero", "/dev/stdin"):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
        with pytest.raises(ModelRefused):
            load_model(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelRefused):
        load_model(folder)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    traces = [tmp_path / "ran", tmp_path / "ran_too", tmp_path / "control"]
    torch.save(Bomb(traces[1]), tmp_path / "bomb.pt")
    for content in (pickle.dumps(Bomb(traces[0])), (tmp_path / "bomb.pt").read_bytes()):
        sign(folder, content)
        with pytest.raises(ModelRefused, match="no safetensors file"):
            load_model(folder)
    pickle.loads(pickle.dumps(Bomb(traces[2])))
    assert [trace.exists() for trace in traces] == [False, False, True]


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_truncated_weights_are_refused(folder: Path, keep: int) -> None:
    sign(folder, (folder / WEIGHTS_NAME).read_bytes()[:keep])
    with pytest.raises(ModelRefused, match="no safetensors file"):
        load_model(folder)


def test_weights_too_large_for_half_precision_are_refused_when_saved(tmp_path: Path) -> None:
    weights = {name: value + 1e6 for name, value in tiny_weights().items()}
    with pytest.raises(ModelRefused):
        save_model(tmp_path / "m", card=tiny_card(), weights=weights)


def test_what_is_no_model_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "none", "no-such-model", "../head-mr-ct"):
        with pytest.raises(ModelRefused, match=r"No model .* head-mr-ct"):
            find_model(name)


def test_the_shipped_models_open() -> None:
    targets = {"head-mr-ct": "HU", "head-ct-mr": "a.u.", "head-t1-t2": "a.u.", "head-t2-t1": "a.u.",
               "ct-denoise": "HU"}  # fmt: skip
    assert set(shipped_models()) == set(targets)
    for name, folder in shipped_models().items():
        card = read_card(folder)
        assert card.name == name
        assert card.scores, "a shipped model was measured"
        assert load_model(name).card.task.target.unit == targets[name]
