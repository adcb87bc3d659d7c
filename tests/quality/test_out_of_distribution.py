"""What is said of features: within, outside, on the side that is not odd, with another way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from medcyclegan.models.card import FEATURE_NAMES, Card, Range, ReferenceRanges, SpreadCalibration
from medcyclegan.quality.out_of_distribution import (
    FEATURES,
    RunFeatures,
    judged,
    out_of_distribution_warnings,
    outside,
    verdict_of,
)
from tests.tiny_model import known, tiny_card

CROSSWISE = {"view_disagreement_hu", "cycle_information"}
LOOKS = dict.fromkeys((name for name in FEATURE_NAMES if name not in CROSSWISE), 0.5)
LOOKS |= {"body_litres": 3.0, "width_mm": 160.0}
FEATURES_OF_A_RUN = RunFeatures(LOOKS, 60.0, 0.2, "", "a" * 64)


def card(reverse_sha256: str | None = None, **ranges: tuple[float, float]) -> Card:
    return tiny_card().model_copy(
        update={"reference_ranges": known(reverse_sha256=reverse_sha256, **ranges)}
    )


def test_within_a_range_and_its_slack_nothing_is_said() -> None:
    assert out_of_distribution_warnings(FEATURES_OF_A_RUN, card(body_litres=(2.0, 4.0))) == ()
    assert out_of_distribution_warnings(FEATURES_OF_A_RUN, card(body_litres=(2.0, 2.5))) == ()
    (said,) = out_of_distribution_warnings(FEATURES_OF_A_RUN, card(body_litres=(1.5, 1.9)))
    assert said == "The body in view has 3 litres; the model's reference range is 1.5 to 1.9."
    assert out_of_distribution_warnings(FEATURES_OF_A_RUN, tiny_card()) == ()


def test_every_sign_that_a_card_may_name_is_told_and_judged() -> None:
    assert set(FEATURES) == set(FEATURE_NAMES)
    far = dict.fromkeys(FEATURES_OF_A_RUN.figures(), (1000000.0, 2000000.0))
    near = dict.fromkeys(FEATURES_OF_A_RUN.figures(), (0.0, 1e-06))
    said = {
        sentence
        for ranges in (far, near)
        for sentence in out_of_distribution_warnings(
            FEATURES_OF_A_RUN, card(reverse_sha256="a" * 64, **ranges)
        )
    }
    assert len(said) >= len(FEATURE_NAMES)
    assert not any("{" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("feature", "odd", "fine"),
    [("view_disagreement_hu", 200.0, 1.0), ("smoothness", 0.1, 100.0), ("bone", 0.01, 50.0),
     ("slices", 0.1, 1e4)],
)  # fmt: skip
def test_features_that_are_odd_on_one_side_alone(feature: str, odd: float, fine: float) -> None:
    within = Range(low=50.0 if odd > 1 else 0.5, high=60.0)
    assert FEATURES[feature].is_outside(odd, within)
    assert not FEATURES[feature].is_outside(fine, within)


def test_a_share_near_none_is_none_and_contrasts_have_less_slack() -> None:
    within = Range(low=0.0, high=0.002)
    assert not FEATURES["air"].is_outside(0.012, within)
    assert FEATURES["air"].is_outside(0.02, within)
    t1 = Range(low=0.7, high=0.8)
    assert FEATURES["even_deep"].is_outside(0.55, t1)
    assert not FEATURES["middle"].is_outside(0.55, t1)


def test_the_way_back_is_judged_with_the_weights_that_it_was_measured_with() -> None:
    high = (0.5, 0.6)

    def count(features: RunFeatures, sha256: str) -> int:
        return len(
            out_of_distribution_warnings(
                features, card(cycle_information=high, reverse_sha256=sha256)
            )
        )

    assert count(FEATURES_OF_A_RUN, "a" * 64) == 1
    assert count(FEATURES_OF_A_RUN, "b" * 64) == 0
    assert (
        count(replace(FEATURES_OF_A_RUN, cycle_information=None, reverse_sha256=None), "a" * 64)
        == 0
    )


def test_cards_without_ranges_are_valid_and_odd_ones_are_not() -> None:
    old = tiny_card().model_dump(mode="json")
    for key in ("reference_ranges", "reverse", "uncertainty"):
        del old[key]
    assert Card.model_validate(old).reference_ranges is None
    with pytest.raises(ValidationError, match="must not be above"):
        Range(low=2.0, high=1.0)
    with pytest.raises(ValidationError, match="colour is no feature"):
        known(colour=(0.0, 1.0))
    with pytest.raises(ValidationError):
        ReferenceRanges(measured_on=(), ranges={})
    for spread, error in (((1.0, 1.0), (1.0, 2.0)), ((1.0, 2.0), (2.0, 1.0)), ((1.0, 2.0), (1.0,))):
        with pytest.raises(ValidationError):
            SpreadCalibration(spread=spread, error=error, fitted_on="nothing")
    assert SpreadCalibration(spread=(1.0, 2.0), error=(3.0, 3.0), fitted_on="two points")


def test_extended_ranges_hold_both_and_no_way_back_by_two_models() -> None:
    first = known(reverse_sha256="a" * 64, body_litres=(2.0, 3.0), bone=(0.1, 0.2),
                  cycle_information=(0.5, 0.6))  # fmt: skip
    second = known(reverse_sha256="b" * 64, body_litres=(2.5, 4.0), air=(0.0, 0.1),
                   cycle_information=(0.1, 0.2))  # fmt: skip
    both = first.extended_by(second)
    assert both.ranges["body_litres"] == Range(low=2.0, high=4.0)
    assert (both.ranges["bone"], both.ranges["air"]) == (first.ranges["bone"], second.ranges["air"])
    assert both.ranges["cycle_information"] == second.ranges["cycle_information"]
    assert both.reverse_sha256 == "b" * 64
    assert len(both.measured_on) == 2
    assert outside({"body_litres": 8.0}, both) == ["body_litres"]


def test_a_table_holds_every_sign_with_its_range_and_a_sentence_tells_all() -> None:
    one = card(body_litres=(1.5, 1.9))
    rows = judged(FEATURES_OF_A_RUN, one)
    assert ("Body in view, litres", "3", "1.5 to 1.9") in rows
    assert ("Width, mm", "160", "none") in rows
    assert len(rows) == len(FEATURES_OF_A_RUN.figures())
    assert verdict_of(
        FEATURES_OF_A_RUN, out_of_distribution_warnings(FEATURES_OF_A_RUN, one)
    ).startswith("1 of ")
    assert verdict_of(FEATURES_OF_A_RUN, ()).endswith("all within the model's reference ranges")
