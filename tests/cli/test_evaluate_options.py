"""What the options of ``evaluate`` on ranges and beams mean, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.cli.evaluate import Paths, intensities_of, water_paths_of
from medcyclegan.errors import InputRefused, UsageError

NOTHING = Paths(wepl=False, beams=None, curve=None, target=None)


def test_a_range_is_a_word_or_two_numbers() -> None:
    assert intensities_of(None) is None
    for word in ("each", "reference"):
        found = intensities_of(word)
        assert found is not None
        assert found.kind == word
    fixed = intensities_of("-1.5:1e3")
    assert fixed is not None
    assert (fixed.low, fixed.high) == (-1.5, 1000.0)
    for odd in ("ech", "0-255", "a:b", "1:2:3", "", "e:e", "5:1"):
        with pytest.raises(UsageError):
            intensities_of(odd)


def test_paths_are_taken_by_twelve_beams_and_the_published_curve() -> None:
    assert water_paths_of(NOTHING) is None
    found = water_paths_of(Paths(wepl=True, beams=None, curve=None, target=None))
    assert found is not None
    assert found.gantry_deg == tuple(range(0, 360, 30))
    assert "Schneider et al. 2000" in found.curve.name
    assert "Fippel and Soukup 2004" in found.curve.name
    assert "120 kVp" in found.kvp


def test_beams_and_curve_of_ones_own(tmp_path: Path) -> None:
    curve = tmp_path / "ours.csv"
    curve.write_text("hu,value\n-1000,0.001\n0,1.0\n")
    found = water_paths_of(Paths(wepl=True, beams="0, 92.5", curve=curve, target=None))
    assert found is not None
    assert found.gantry_deg == (0.0, 92.5)
    assert found.curve.name == "ours.csv"
    assert found.kvp == "that of the calibration"
    for beams in ("0;90", "front", "400", "", "10,10"):
        with pytest.raises(UsageError):
            water_paths_of(Paths(wepl=True, beams=beams, curve=None, target=None))
    with pytest.raises(InputRefused):
        water_paths_of(Paths(wepl=True, beams=None, curve=tmp_path / "none.csv", target=None))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (Paths(False, "0", None, None), "--beams"),
        (Paths(False, None, Path("x.csv"), None), "--curve"),
        (Paths(False, None, None, Path("t")), "--target"),
    ],
)
def test_options_of_paths_need_the_option(given: Paths, named: str) -> None:
    with pytest.raises(UsageError, match=f"{named} without --wepl"):
        water_paths_of(given)
