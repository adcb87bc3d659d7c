"""The card of each shipped model tells of the training that its configuration describes."""

from __future__ import annotations

import re

import pytest

from medcyclegan.models.store import find_model, read_card, shipped_models
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.export import method_said
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import shipped_configs

# Words of slabs that come again changed since the cards were written; their number did not.
_AGAIN = "; each slab "
# What came after the training of the configuration, as by benchmarks/agreeing_contrasts.py.
_THEN = "; then "
_MOVED = re.compile(r"levels above 250 HU were moved up by (\d+)%")
_TIMES = {"twice": 2, "three times": 3}


def config_of(name: str, **changes: object) -> TrainConfig:
    card = read_card(find_model(name))
    config = read_settings(shipped_configs()[card.training.config], TrainConfig)
    return config.model_copy(update=changes)


def _as_told(config: TrainConfig, method: str) -> GeneratorConfig:
    """The network of a configuration, its levels moved as a card tells that a benchmark did."""
    told = _MOVED.search(method)
    if told is None:
        return config.generator
    window = config.task("a-to-b").target_window
    half, middle = (window.upper - window.lower) / 2.0, (window.upper + window.lower) / 2.0
    hu = [level * half + middle for level in config.generator.levels]
    above = [max(0.0, value - 250.0) * int(told[1]) / 100.0 for value in hu]
    moved = [min(value + more, window.upper) for value, more in zip(hu, above, strict=True)]
    levels = tuple(round((value - middle) / half, 6) for value in moved)
    return config.generator.model_copy(update={"levels": levels})


def differences(name: str, config: TrainConfig) -> list[str]:
    """What of a card is not as the configuration has it.

    Not compared: the time and the machine, which are of the run; scores, ranges and uncertainty,
    which were measured afterwards. ``steps`` is what the run came to in its time, and the
    configuration repeats that.
    """
    card = read_card(find_model(name))
    text = config.card
    assert text is not None
    data = card.training.data[0]  # others came with what was done then
    own = card.training.method.partition(_THEN)[0]
    said, again = own.partition(_AGAIN)[::2]
    expected = method_said(config).partition(_AGAIN)[0]
    pairs = {
        "name": (card.name, text.name),
        "summary": (card.summary, text.summary),
        "intended_use": (card.intended_use, text.intended_use),
        "limits": (card.limits, text.limits),
        "task": (card.task, config.task("a-to-b")),
        "generator": (card.generator, _as_told(config, card.training.method)),
        "seed": (card.training.seed, config.seed),
        "steps": (card.training.steps, config.steps),
        "simulated": (card.training.simulated, config.data.kind == "simulated"),
        "method": (said, expected),
        "replay": (_TIMES.get(again, 1), config.replay + 1),
        "use of the data": (data.use, text.anatomy),
    }
    return [what for what, (ours, theirs) in pairs.items() if ours != theirs]


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_the_card_is_that_of_the_configuration(name: str) -> None:
    assert differences(name, config_of(name)) == []


def test_a_configuration_that_changed_is_told() -> None:
    """The control: each of these would train another model than the one that ships."""
    for what, changes in {
        "steps": {"steps": 3000},
        "seed": {"seed": 1},
        "method": {"batch_size": 5},
        "replay": {"replay": 7},
    }.items():
        assert differences("ct-denoise", config_of("ct-denoise", **changes)) == [what]


def test_levels_that_a_card_does_not_tell_of_are_told() -> None:
    """The control of levels that were moved."""
    config = config_of("head-mr-ct")
    levels = (*config.generator.levels[:-2], 0.9, 1.0)
    network = config.generator.model_copy(update={"levels": levels})
    assert differences("head-mr-ct", config.model_copy(update={"generator": network})) == [
        "generator"
    ]
