"""Cards of this version and of earlier ones."""

from __future__ import annotations

import json
import logging

import pytest
from pydantic import ValidationError

from medcyclegan.models.card import Card
from medcyclegan.models.store import find_model

OLD_RANGES = {
    "measured_on": "19 heads",
    "bone": {"low": 0.13, "high": 0.24},
    "reverse_sha256": None,
}


def content(**more: object) -> str:
    card = json.loads((find_model("head-mr-ct") / "card.json").read_text(encoding="utf-8"))
    return json.dumps(card | more)


@pytest.mark.parametrize("ranges", [None, OLD_RANGES])
def test_a_card_of_the_first_version_opens(
    ranges: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        card = Card.model_validate_json(content(known=ranges, reference_ranges=None))
    assert card.reference_ranges is None
    assert ("nothing is judged" in caplog.text) == (ranges is not None)


def test_other_keys_that_no_version_had_are_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        Card.model_validate_json(content(surprise=1))
