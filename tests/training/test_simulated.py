"""Simulated data: settings that fit, shipped configurations, held-back slabs, heads kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medcyclegan.core.task import Percentiles, Window
from medcyclegan.errors import InputRefused
from medcyclegan.networks.factory import make_generator
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import (
    SimulatedData,
    SimulatedSlabs,
    held_back_cases,
    keep_prepared,
    load_prepared,
    prepared_path,
)
from medcyclegan.training.data.types import collate
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import shipped_configs
from tests.simulate.head_labels import head_labels
from tests.training.simulated_training import simulated_config, simulated_data


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


CT = {"modality": "CT", "unit": "HU", "scaling": Window(lower=-1000, upper=2000)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "flair"}, "Input should be"),
        ({"source": "ct"}, "no pairs from ct to ct"),
        ({"source": "low_dose_ct", "target": "t1"}, "no pairs from low_dose_ct to t1"),
        ({"source": "ct", "target": "t1"}, "ct to t1 is CT to MR, but a and b are MR to CT"),
        ({"source": "t1", "target": "t2"}, "t1 to t2 is MR to MR"),
        ({"spacing_mm": None}, "spacing_mm is null for low_dose_ct, and only there"),
        ({"source": "low_dose_ct", "a": CT}, "spacing_mm is null for low_dose_ct"),
        (
            {"source": "low_dose_ct", "spacing_mm": None,
             "a": CT | {"scaling": Percentiles(lower=1, upper=99)}},
            "a CT source needs a window",
        ),
        ({"contrasts": 0}, "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        simulated_data(**changes)


def test_an_item_is_as_many_contrasts_as_asked_for_of_the_size_asked_for(head: HeadAnatomy) -> None:
    slabs = SimulatedSlabs([head], simulated_data(contrasts=3), seed=1)
    items = [slabs[4], slabs[5]]
    assert items[0].a.shape == items[0].b.shape == (3, 3, 40, 40)
    batch = collate(items)
    assert batch.a.shape == batch.b.shape == (6, 3, 40, 40)
    assert batch.paired.tolist() == [True] * 6
    assert torch.equal(batch.a[:3], items[0].a)
    assert torch.equal(batch.b[4], items[1].b[1])
    assert slabs[4, 56].a.shape == (3, 3, 56, 56)


def test_held_back_slabs_are_always_the_same_and_no_items_of_the_training(
    head: HeadAnatomy,
) -> None:
    config = simulated_data(held_back=3)
    cases, again = (held_back_cases([head], config, seed=1, size_px=32) for _ in range(2))
    assert len(cases) == 3
    for case, same in zip(cases, again, strict=True):
        assert case.a is not None
        assert case.b is not None
        assert case.mask is not None
        assert torch.equal(case.a, same.a)  # type: ignore[arg-type]
        assert case.paired
        assert case.a.shape == case.b.shape == case.mask.shape == (3, 32, 32)
    trained = SimulatedSlabs([head], config, seed=1)
    for case in cases:
        assert not any(torch.equal(case.b, trained[n, 32].b[0]) for n in range(6))  # type: ignore[arg-type]
    inside = [float(case.b[case.mask].mean()) for case in cases if case.mask.any()]  # type: ignore[index, union-attr]
    assert min(inside) > -0.6  # no air
    assert held_back_cases([], config, seed=1, size_px=32) == []


def test_prepared_heads_come_back_as_they_were_and_others_are_refused(
    head: HeadAnatomy, tmp_path: Path
) -> None:
    keep_prepared(head, prepared_path(tmp_path, 3))
    (found,) = load_prepared(tmp_path, [3])
    assert np.array_equal(found.maps, head.maps)
    assert found.maps.flags.c_contiguous
    assert found.spacing_mm == head.spacing_mm
    assert [path.name for path in tmp_path.iterdir()] == ["head_03.npz"]
    np.savez(prepared_path(tmp_path, 1), maps=head.maps)
    for number in (1, 2):
        with pytest.raises(InputRefused, match=rf"head_0{number}\.npz cannot be read"):
            load_prepared(tmp_path, [number])


@pytest.mark.parametrize("number", [1, 99, None])
def test_heads_that_were_prepared_in_another_way_are_refused(
    head: HeadAnatomy, tmp_path: Path, number: int | None
) -> None:
    """None: by a version that did not write down how."""
    path = prepared_path(tmp_path, 1)
    keep_prepared(head, path)
    assert len(load_prepared(tmp_path, [1])) == 1  # the control
    with np.load(path) as kept:
        parts = {name: kept[name] for name in kept.files if name != "preparation"}
    if number is not None:
        parts["preparation"] = np.asarray(number)
    np.savez(path, **parts)
    with pytest.raises(InputRefused, match=r"head_01\.npz was prepared in another way") as refused:
        load_prepared(tmp_path, [1])
    assert "prepare the label maps anew" in str(refused.value)


NAMES = {
    "head_mr_ct": ("head-mr-ct", "random", "ct"),
    "head_ct_mr": ("head-ct-mr", "ct", "t1"),
    "head_t1_t2": ("head-t1-t2", "t1", "t2"),
    "head_t2_t1": ("head-t2-t1", "t2", "t1"),
    "head_ct_denoise": ("ct-denoise", "low_dose_ct", "ct"),
}


def shipped() -> dict[str, TrainConfig]:
    return {name: read_settings(shipped_configs()[name], TrainConfig) for name in NAMES}


def test_the_configurations_of_the_shipped_models_are_what_they_are_called() -> None:
    for name, made in shipped().items():
        assert isinstance(made.data, SimulatedData)
        assert made.card is not None
        assert (made.card.name, made.data.source, made.data.target) == NAMES[name]
        assert made.engine.kind == "supervised"  # type: ignore[attr-defined]


def test_the_models_together_are_small() -> None:
    weights = 0
    for made in shipped().values():
        generator = make_generator(made.generator, depth=made.data.depth)
        weights += sum(weight.numel() for weight in generator.parameters())
    assert 2 * weights < 30e6  # bytes, in half precision


def test_levels_are_the_hounsfield_units_that_the_file_says() -> None:
    made = shipped()["head_mr_ct"]
    window = made.task("a-to-b").target_window
    width = window.upper - window.lower
    found = [window.lower + (level + 1.0) / 2.0 * width for level in made.generator.levels]
    assert found == pytest.approx([-1000, -100, 50, 400, 750, 1000, 1500, 2200], abs=0.01)
    assert window.upper == 2200


def test_how_a_model_is_run_is_on_its_task() -> None:
    task = shipped()["head_mr_ct"].task("a-to-b")
    assert (task.stride, task.mirror, task.name) == (4, True, "mr-ct")
    with pytest.raises(ValidationError, match="stride 9 leaves out slices"):
        simulated_config(inference={"stride": 9})


def test_t1_with_t2_are_two_channels_of_one_anatomy(head: HeadAnatomy) -> None:
    a = simulated_data().a.model_copy(update={"channels": ("t1", "t2")})
    config = simulated_data(source="t1_t2", a=a)
    item = SimulatedSlabs([head], config, seed=1)[3]
    assert (item.a.shape, item.b.shape) == ((2, 2, 3, 40, 40), (2, 3, 40, 40))
    assert collate([item, item]).a.shape == (4, 2, 3, 40, 40)
    assert not torch.equal(item.a[0, 0], item.a[0, 1])
    with pytest.raises(ValidationError, match=r"t1_t2 needs two a\.channels"):
        simulated_data(source="t1_t2")
    with pytest.raises(ValidationError, match=r"t1_t2 needs two a\.channels"):
        simulated_data(a=a)


def test_t1_to_ct_is_a_t1_and_not_any_contrast(head: HeadAnatomy) -> None:
    a = simulated_data().a.model_copy(update={"channels": ("t1", "t2")})
    both = SimulatedSlabs([head], simulated_data(source="t1_t2", a=a, contrasts=1), seed=5)[3]
    alone = SimulatedSlabs([head], simulated_data(source="t1", contrasts=1), seed=5)[3]
    any_one = SimulatedSlabs([head], simulated_data(source="random", contrasts=1), seed=5)[3]
    assert torch.equal(alone.a[0], both.a[0, 0])
    assert not torch.equal(any_one.a[0], both.a[0, 0])  # the control
