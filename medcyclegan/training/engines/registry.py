"""The engines by name: what ``engine.kind`` of a configuration may say."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from medcyclegan.training.engines.base import Engine, EngineSettings, Setup
from medcyclegan.training.engines.contrastive import Contrastive
from medcyclegan.training.engines.cyclegan import CycleGAN
from medcyclegan.training.engines.supervised import Supervised

# A further engine is a file beside these and a line here.
ENGINES: dict[str, type[Engine]] = {
    "contrastive": Contrastive,
    "cyclegan": CycleGAN,
    "supervised": Supervised,
}


def make_engine(settings: EngineSettings, setup: Setup) -> Engine:
    """Build the engine that the settings are for, with fresh weights."""
    kind = next(some for some in ENGINES.values() if some.settings_type is type(settings))
    return kind(settings, setup)


class OfAnyEngine:
    """Lets a field of type ``EngineSettings`` take the settings of the engine named by ``kind``."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """One of the registered settings, chosen by its ``kind``."""
        choices = {
            name: handler.generate_schema(some.settings_type) for name, some in ENGINES.items()
        }
        return core_schema.tagged_union_schema(choices, "kind")
