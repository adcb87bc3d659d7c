"""What is said of signs: within, outside, on the side that is not odd, with another way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from medcyclegan.doubt.figures import Looks
from medcyclegan.doubt.signs import Signs
from medcyclegan.doubt.verdict import doubts_of, is_outside
from medcyclegan.models.card import Card
from medcyclegan.models.known import Known, Range, SpreadCalibration
from tests.tiny_model import tiny_card

LOOKS = Looks(3.0, 160.0, 200.0, 150.0, 0.55, 0.2, 0.4, 0.1, 0.9, 0.15, 0.04, 0.95)
SIGNS = Signs(LOOKS, 60.0, 0.2, "", "a" * 64)


def card(**ranges: object) -> Card:
    known = Known.model_validate({"measured_on": "tests", **ranges})
    return tiny_card().model_copy(update={"known": known})


def test_within_a_range_and_its_slack_nothing_is_said() -> None:
    assert doubts_of(SIGNS, card(body_litres=Range(low=2.0, high=4.0))) == ()
    assert doubts_of(SIGNS, card(body_litres=Range(low=2.0, high=2.5))) == ()
    (said,) = doubts_of(SIGNS, card(body_litres=Range(low=1.5, high=1.9)))
    assert said == "The body in view has 3 litres; of what the model knows, 1.5 to 1.9."
    assert doubts_of(SIGNS, tiny_card()) == ()


def test_every_sign_has_a_sentence() -> None:
    far = {name: Range(low=1e6, high=2e6) for name in SIGNS.figures()}
    near = {name: Range(low=0.0, high=1e-6) for name in SIGNS.figures()}
    said = {*doubts_of(SIGNS, card(**far, reverse_sha256="a" * 64)),
            *doubts_of(SIGNS, card(**near, reverse_sha256="a" * 64))}  # fmt: skip
    assert len(said) >= len(SIGNS.figures())
    assert not any("{" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("sign", "odd", "fine"),
    [("view_disagreement_hu", 200.0, 1.0), ("smoothness", 0.1, 100.0), ("bone", 0.01, 50.0)],
)
def test_signs_that_are_odd_on_one_side_alone(sign: str, odd: float, fine: float) -> None:
    within = Range(low=50.0 if odd > 1 else 0.5, high=60.0)
    assert is_outside(sign, odd, within)
    assert not is_outside(sign, fine, within)


def test_the_way_back_is_judged_with_the_weights_that_it_was_measured_with() -> None:
    high = Range(low=0.5, high=0.6)
    assert len(doubts_of(SIGNS, card(cycle_information=high, reverse_sha256="a" * 64))) == 1
    assert doubts_of(SIGNS, card(cycle_information=high, reverse_sha256="b" * 64)) == ()
    without = replace(SIGNS, cycle_information=None, reverse_sha256=None)
    assert doubts_of(without, card(cycle_information=high, reverse_sha256="a" * 64)) == ()


def test_cards_without_ranges_are_valid_and_odd_ones_are_not() -> None:
    old = tiny_card().model_dump(mode="json")
    for key in ("known", "reverse", "uncertainty"):
        del old[key]
    assert Card.model_validate(old).known is None
    with pytest.raises(ValidationError, match="must not be above"):
        Range(low=2.0, high=1.0)
    with pytest.raises(ValidationError):
        Known.model_validate({"measured_on": "tests", "colour": {"low": 0, "high": 1}})
    for spread, error in (((1.0, 1.0), (1.0, 2.0)), ((1.0, 2.0), (2.0, 1.0)), ((1.0, 2.0), (1.0,))):
        with pytest.raises(ValidationError):
            SpreadCalibration(spread=spread, error=error, fitted_on="nothing")
    assert SpreadCalibration(spread=(1.0, 2.0), error=(3.0, 3.0), fitted_on="two points")
