"""What was measured of a model, on the card in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medcyclegan.models.card import Score
from medcyclegan.models.store import CARD_NAME, read_card


def update_card(folder: Path, **changes: object) -> None:
    """Replace fields of the card in a model folder."""
    updated = read_card(folder).model_copy(update=changes)
    (folder / CARD_NAME).write_text(updated.model_dump_json(indent=2) + "\n", encoding="utf-8")


def put_scores(folder: Path, scores: Iterable[Score]) -> None:
    """Replace the scores on the card in a model folder."""
    update_card(folder, scores=tuple(scores))
