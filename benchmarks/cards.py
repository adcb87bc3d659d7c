"""Measured scores on the card of a model folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medcyclegan.models.card import Score
from medcyclegan.models.store import CARD_NAME, read_card


def put_scores(folder: Path, scores: Iterable[Score]) -> None:
    """Replace the scores on the card in a model folder."""
    updated = read_card(folder).model_copy(update={"scores": tuple(scores)})
    (folder / CARD_NAME).write_text(updated.model_dump_json(indent=2) + "\n", encoding="utf-8")
