"""What was measured of a model, on the card in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medcyclegan.models.card import Score
from medcyclegan.models.store import read_card, write_card


def put_scores(folder: Path, scores: Iterable[Score]) -> None:
    """Replace the scores on the card in a model folder."""
    write_card(folder, read_card(folder).model_copy(update={"scores": tuple(scores)}))
