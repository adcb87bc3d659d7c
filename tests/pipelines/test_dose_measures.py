"""Gamma, histograms and range of the dose pipeline: laws with controls, and its record's schema."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.dose.measures import (
    HLUT_HU,
    HLUT_RSP,
    GammaCriterion,
    Planned,
    beam_direction,
    comparison_record,
    dose_at_volume,
    dvh,
    gamma_passes,
    gamma_record,
    range_differences_mm,
    range_record,
    stopping_power,
    structure_record,
    volume_at_dose,
)

SPACING_MM = (3.0, 3.0, 3.0)
X, Y, Z = np.indices((24, 24, 24)) * 3.0
DOSE_GY = 60.0 * np.exp(-((X - 35) ** 2 + (Y - 35) ** 2 + (Z - 35) ** 2) / (2 * 15.0**2))
WHOLE = DOSE_GY > 30.0


def rate(evaluated: np.ndarray, **criterion: float) -> float:
    passes = gamma_passes(DOSE_GY, evaluated, SPACING_MM, GammaCriterion(**criterion))
    return float(passes.mean())


def test_a_dose_passes_against_itself() -> None:
    assert rate(DOSE_GY) == 1.0


def test_two_percent_of_the_most_pass_where_dose_is_flat_and_a_little_more_does_not() -> None:
    flat = np.full((9, 9, 9), 50.0)
    for share, expected in ((0.0199, 1.0), (0.0201, 0.0)):
        passes = gamma_passes(flat, flat * (1.0 + share), SPACING_MM, GammaCriterion())
        assert passes.mean() == expected


def test_two_millimetres_pass_at_a_slope_and_three_do_not() -> None:
    """A straight slope of 1 Gy/mm, far steeper than 2 % of its 66 Gy for 3 mm."""
    slope = X.copy()
    inner = (slice(None), slice(4, -4), slice(4, -4))
    for shift_mm, expected in ((1.9, 1.0), (2.6, 0.0)):
        passes = gamma_passes(
            slope[inner], (slope + shift_mm)[inner], SPACING_MM, GammaCriterion(0.5, 2.0, 30.0)
        )
        assert passes.mean() == pytest.approx(expected, abs=0.13)  # a face has no way further


def test_the_rate_falls_as_criteria_tighten_and_low_doses_do_not_count() -> None:
    other = np.roll(DOSE_GY, 1, axis=0)  # by 3 mm
    rates = [rate(other, percent=p, distance_mm=d) for p, d in ((3, 3), (2, 2), (1, 1))]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.99 > rates[2]
    cut = GammaCriterion(cutoff_percent=50.0)
    assert gamma_passes(DOSE_GY, DOSE_GY, SPACING_MM, cut).size == np.count_nonzero(
        DOSE_GY / DOSE_GY.max() >= 0.5
    )


def test_points_of_a_histogram_by_hand() -> None:
    dose = np.arange(100.0).reshape(4, 5, 5)
    every = np.ones(dose.shape, dtype=bool)
    assert dose_at_volume(dose, every, 95.0) == pytest.approx(np.percentile(dose, 5))
    assert volume_at_dose(dose, every, 60.0) == 40.0
    assert dvh(dose, every, np.array([0.0, 50.0, 99.5])).tolist() == [100.0, 50.0, 0.0]
    curve = dvh(DOSE_GY, WHOLE, np.linspace(0, 70, 50))
    assert (np.diff(curve) <= 0).all()


def test_the_table_is_met_at_every_knot() -> None:
    assert stopping_power(np.array(HLUT_HU)).tolist() == list(HLUT_RSP)


@pytest.mark.parametrize(
    ("gantry_deg", "slant"), [(0.0, 1.0), (37.0, np.cos(np.deg2rad(37.0))), (180.0, np.inf)]
)
def test_a_slab_of_bone_in_the_way_lengthens_it_by_hand(gantry_deg: float, slant: float) -> None:
    """12 mm with 30 % more stopping power before the target are 3.6 mm of water, more aslant."""
    water = np.zeros((60, 24, 24))
    _, y, z = np.indices(water.shape)
    bone = np.where((y >= 4) & (y < 8), np.interp(1.3, HLUT_RSP[3:], HLUT_HU[3:]), 0.0)
    target = (abs(np.indices(water.shape)[0] - 30) < 3) & (abs(y - 14) < 3) & (abs(z - 12) < 3)
    way = beam_direction(gantry_deg)
    found = range_differences_mm(water, bone, target, SPACING_MM, way)
    assert found.size >= 25
    assert found == pytest.approx(12.0 * 0.3 / slant, abs=0.05)
    assert range_differences_mm(bone, water, target, SPACING_MM, way) == pytest.approx(-found)
    assert not range_differences_mm(bone, bone, target, SPACING_MM, way).any()


def test_beams_come_from_where_the_angle_says() -> None:
    """IEC 61217 of a supine patient, axes to the left and the back."""
    assert beam_direction(0.0) == pytest.approx([0.0, 1.0, 0.0])  # from the front to the back
    assert beam_direction(90.0) == pytest.approx([-1.0, 0.0, 0.0])  # from the left


def test_the_record_has_what_a_study_reads() -> None:
    planned = Planned("protons", (60.0, 120.0), 60.0, 30, SPACING_MM)
    structure = structure_record(
        "target", WHOLE, (DOSE_GY, 0.99 * DOSE_GY), planned, is_target=True
    )
    record = comparison_record(
        {"case": "p01", "method": "", "engine": {"name": "e", "version": "1"}, "machine": "m",
         "figure": "p01.png", "notes": ["n"]},
        planned,
        gamma=gamma_record(np.array([True, True, False]), GammaCriterion()),
        structures=[structure],
        range_error=range_record(np.array([1.0, -3.0])),
    )  # fmt: skip
    assert (record["schema"], record["version"]) == ("medcyclegan-dose-comparison", 1)
    assert record["gamma"]["pass_rate_percent"] == pytest.approx(66.6667)
    assert record["range_error"]["mean_mm"] == -1.0
    names = [point["name"] for point in structure["points"]]
    assert names == ["mean", "D98", "D95", "D50", "D2", "V95%"]
    for point in structure["points"]:
        assert point["difference"] == pytest.approx(point["sct"] - point["ct"], abs=1e-4)
    assert record["plan"]["beams"][1] == {"gantry_deg": 120.0, "couch_deg": 0.0}
