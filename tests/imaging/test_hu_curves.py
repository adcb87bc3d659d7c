"""The curves are those that were published: at every knot, between knots, and where they jump."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.hu_curves import (
    CARNEY_2006,
    HIGHEST_HU,
    LOWEST_HU,
    QUANTITIES,
    Curve,
    carney_2006,
    fippel_soukup_2004,
    proton_stopping_power,
    schneider_2000,
    through,
)
from medcyclegan.workflow.quantities import read_curve, water_warning

# Worked out by hand from the publication's lines, 1/cm: at the break point and just above it, and
# at 1000 HU and at the upper end.
CARNEY = {
    80: (50, 0.1008, 0.10082, 0.1354, 0.2107844),
    100: (52, 0.100992, 0.1010036, 0.143, 0.2347453),
    110: (43, 0.100128, 0.1001156, 0.1472, 0.2490932),
    120: (47, 0.100512, 0.100497, 0.1491, 0.254721),
    130: (37, 0.099552, 0.0995387, 0.1526, 0.2667121),
    140: (30, 0.09888, 0.098892, 0.1536, 0.2704044),
}
# HU, g/cm3 at it, and just above it: the ends of the sections.
SCHNEIDER = [
    (-1000, 0.00121, 0.00121),
    (-98, 0.93, 0.930486),
    (14, 1.030502, 1.03),
    (23, 1.03, 1.029887),
    (100, 1.1199, 1.0762),
    (1600, 1.9642, 1.9642),
    (3071, 2.835032, 2.835032),
]
JUST = 1e-6


@pytest.mark.parametrize("kvp", sorted(CARNEY))
def test_attenuation_at_511_kev_is_that_of_carney(kvp: int) -> None:
    curve = carney_2006(kvp)
    break_hu, at_break, above_break, at_1000, at_end = CARNEY[kvp]
    assert curve.kvp == kvp
    assert curve.edges_hu == (LOWEST_HU, break_hu, HIGHEST_HU)
    assert curve.at(-1000.0) == pytest.approx(0.0, abs=1e-12)
    assert curve.at(0.0) == pytest.approx(0.096, abs=1e-6)
    assert curve.at(float(break_hu)) == pytest.approx(at_break, abs=1e-6)
    assert curve.at(break_hu + JUST) == pytest.approx(above_break, abs=1e-6)
    assert curve.at(1000.0) == pytest.approx(at_1000, abs=1e-6)
    assert curve.at(3071.0) == pytest.approx(at_end, abs=1e-6)
    # continuous but for the rounding of the published coefficients
    assert abs(float(curve.at(break_hu + JUST) - curve.at(float(break_hu)))) < 2.5e-5


def test_every_voltage_of_the_publication_is_tested() -> None:
    assert set(CARNEY) == set(CARNEY_2006)


def test_a_lower_voltage_gives_bone_of_the_same_hu_less_attenuation() -> None:
    bone = [float(carney_2006(kvp).at(1000.0)) for kvp in sorted(CARNEY_2006)]
    assert bone == sorted(bone)


@pytest.mark.parametrize(("hu", "at", "above"), SCHNEIDER)
def test_mass_density_is_that_of_schneider(hu: float, at: float, above: float) -> None:
    curve = schneider_2000()
    assert curve.at(hu) == pytest.approx(at, abs=1e-6)
    assert curve.at(min(hu + JUST, HIGHEST_HU)) == pytest.approx(above, abs=2e-6)


def test_each_curve_rises_within_its_pieces_and_density_falls_at_three_edges_alone() -> None:
    hu = np.arange(-20000, 61421) / 20.0
    for kvp in CARNEY_2006:
        steps = np.diff(carney_2006(kvp).at(hu))
        assert (steps > -1.6e-5).all()  # the jump at the break point
        assert (steps <= 0).sum() <= 1
    density = schneider_2000().at(hu)
    falls = hu[:-1][np.diff(density) < 0]
    assert falls.tolist() == [14.0, 23.0, 100.0]
    assert np.diff(density).min() == pytest.approx(-0.0437 + 0.05 * 0.592e-3, abs=1e-6)


def test_a_curve_ends_with_the_values_at_its_ends() -> None:
    for curve in (schneider_2000(), carney_2006(120)):
        assert curve.at(-1024.0) == curve.at(-1000.0)
        assert curve.at(30000.0) == curve.at(3071.0)


def test_other_voltages_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"mu511 for 90 kVp.*80, 100, 110, 120, 130, 140"):
        carney_2006(90)


def test_a_curve_through_knots_hits_them_and_is_straight_between() -> None:
    hu, values = [-1000.0, -98.0, 0.0, 3071.0], [0.001, 0.93, 1.0, 2.9]
    curve = through("own", hu, values)
    assert curve.at(np.array(hu)) == pytest.approx(values, abs=1e-9)
    between = np.linspace(-1000.0, 3071.0, 501)
    assert curve.at(between) == pytest.approx(np.interp(between, hu, values), abs=1e-9)
    assert curve.at(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("edges", "offsets"),
    [((0.0, 0.0), (1.0,)), ((0.0, 1.0, 2.0), (1.0,)), ((0.0, float("nan")), (1.0,)), ((0.0,), ())],
)
def test_no_curve_is_made_of_what_is_none(
    edges: tuple[float, ...], offsets: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="odd"):
        Curve("odd", edges, offsets, offsets)


BAD_TABLES = {
    "other columns": ("HU;density\n0;1\n1;2\n", "columns 'HU', 'density'"),
    "a third column": ("hu,value,note\n0,1,a\n1,2,b\n", "'note'"),
    "no column names": ("-1000,0.001\n0,1.0\n", "columns '-1000', '0.001'"),
    "nothing": ("", "columns none"),
    "no rows": ("hu,value\n", "0 rows"),
    "one row": ("hu,value\n0,1\n", "1 row of"),
    "equal HU": ("hu,value\n-1000,0\n0,1\n0,1.1\n", "row 3 has 0 HU after 0 HU"),
    "falling HU": ("hu,value\n0,1\n-1000,0\n", "row 2 has -1000 HU after 0 HU"),
    "a word": ("hu,value\n0,1\n100,bone\n", "row 2 has value 'bone'"),
    "a gap": ("hu,value\n0,1\n,2\n", "row 2 has hu ''"),
    "a decimal comma": ("hu;value\n0;1,0\n100;1,1\n", "row 1 has value '1,0'"),
    "not a number": ("hu,value\n0,1\n100,nan\n", "row 2 has value 'nan'"),
    "infinity": ("hu,value\n0,1\ninf,2\n", "row 2 has hu 'inf'"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_with_its_row(tmp_path, name: str) -> None:
    text, named = BAD_TABLES[name]
    path = tmp_path / "curve.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputRefused) as refused:
        read_curve(path)
    assert named in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_image_and_a_missing_file_are_no_table(tmp_path) -> None:
    (tmp_path / "x.csv").write_bytes(bytes(range(256)))
    for path in (tmp_path / "x.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputRefused):
            read_curve(path)


@pytest.mark.parametrize("text", ["hu,value\n-1000,0.001\n0,1.0\n", "value;hu\n0.001;-1000\n1;0\n"])
def test_a_good_table_is_read(tmp_path, text: str) -> None:
    path = tmp_path / "ours.csv"
    path.write_text(text, encoding="utf-8")
    curve = read_curve(path)
    assert curve.name == "ours.csv"
    assert curve.at(np.array([-1000.0, 0.0])) == pytest.approx([0.001, 1.0], abs=1e-12)


def test_water_tells_a_curve_of_another_unit_and_passes_published_ones() -> None:
    assert water_warning(schneider_2000(), QUANTITIES["density"]) == ()
    for kvp in CARNEY_2006:
        assert water_warning(carney_2006(kvp), QUANTITIES["mu511"]) == ()
    kilograms = through("kg", (-1000.0, 0.0, 1000.0), (1.0, 1000.0, 1600.0))
    (said,) = water_warning(kilograms, QUANTITIES["density"])
    assert "1000 at 0 HU, where water has 1 " in said
    assert water_warning(carney_2006(120), QUANTITIES["rsp"])


def test_stopping_power_by_density_is_the_published_formula() -> None:
    """Fippel and Soukup 2004: the ends of its sections, and 1 and 1.85 g/cm3 by hand."""
    density = np.array([0.0012, 0.26, 1.0, 1.85])
    share = 0.291 * (1.0 + 100.0**-0.3421)
    dense = 1.0123 - 0.003386 + share * (1.85**-0.7 - 1.0)
    expected = density * [0.8815, 0.9925, 1.0123 - 0.003386, dense]
    assert fippel_soukup_2004(density, 100.0) == pytest.approx(expected, rel=1e-9)
    for mev in (70.0, 200.0):
        assert fippel_soukup_2004(density[2:], mev) == pytest.approx(expected[2:], rel=5e-3)


def test_the_stopping_power_of_hu_joins_both_publications() -> None:
    curve = proton_stopping_power()
    hu = np.arange(-1000.0, 3071.0, 0.5)
    exact = fippel_soukup_2004(schneider_2000().at(hu), 100.0)
    assert np.abs(curve.at(hu) - exact).max() < 0.002
    for knot in schneider_2000().edges_hu:
        joined = fippel_soukup_2004(schneider_2000().at(knot), 100.0)
        assert curve.at(knot) == pytest.approx(joined, abs=1e-9)
    assert curve.at(0.0) == pytest.approx(1.0226, abs=1e-4)
    assert curve.at(1000.0) == pytest.approx(1.4633, abs=1e-4)
    assert water_warning(curve, QUANTITIES["rsp"]) == ()
