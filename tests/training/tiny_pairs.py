"""Settings of a training on pairs, small enough for tests."""

from __future__ import annotations

from typing import Any

from medcyclegan.training.pairs_config import PairsConfig
from tests.tiny_model import TINY, tiny_task

CARD = {
    "name": "tiny", "summary": "for tests", "method": "a few steps", "anatomy": "none",
    "intended_use": "tests", "limits": ["anything but tests"],
}  # fmt: skip


def tiny_pairs(**changes: Any) -> PairsConfig:
    """MR of any contrast to CT with the tiny generator, no workers; or with ``changes``."""
    plain = {
        "card": CARD, "task": tiny_task(), "generator": TINY, "steps": 6, "decay_from_step": 4,
        "workers": 0,
    }  # fmt: skip
    return PairsConfig.model_validate({**plain, **changes})
