"""A training that begins with the weights of a model instead of random ones."""

from __future__ import annotations

from medcyclegan.errors import UsageError
from medcyclegan.models.store import Model, load_model
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Task
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.engines.base import Engine


def beginning_of(config: TrainConfig) -> Model | None:
    """Open the model that the generator from A to B begins with, if there is to be one.

    Raises
    ------
    UsageError
        If its network, or what it was trained to take and to give, is another.
    ModelRefused
        If it cannot be found or opened.
    """
    if config.begin_from is None:
        return None
    model = load_model(config.begin_from)
    found = _fits(model.card.generator, model.task)
    for key, wanted in _fits(config.generator, config.task("a-to-b")).items():
        if wanted != found[key]:
            raise UsageError(
                f"begin_from {config.begin_from}: {key} is {wanted} here and {found[key]} there",
                rule="the weights of a model fit one network and one kind of input and output",
                remedy=f"set {key} as the model has it",
            )
    return model


def begin(engine: Engine, config: TrainConfig) -> None:
    """Give the generator from A to B, and its moving average, the weights of ``begin_from``."""
    model = beginning_of(config)
    if model is not None:
        engine.begin(model.generator.state_dict())


def _fits(generator: GeneratorConfig, task: Task) -> dict[str, object]:
    """All that must be the same for weights to fit, by the keys of a configuration."""
    sides = {"data.a": task.source, "data.b": task.target}
    return {
        **{f"generator.{name}": value for name, value in generator.model_dump().items()},
        "data.depth": task.depth,
        "data.spacing_mm": task.spacing_mm,
        **{
            f"{side}.{name}": value
            for side, domain in sides.items()
            for name, value in domain.model_dump().items()
        },
    }
