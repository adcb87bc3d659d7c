"""Statistics of cohorts against hand-made cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medcyclegan.evaluation.study.score_columns import METRICS, metrics_of
from medcyclegan.evaluation.study.statistics import compare, holm, mean_interval, summarise
from tests.evaluation.study.scores import result

MAE, PSNR = METRICS[0], METRICS[1]


def test_a_summary_by_hand() -> None:
    results = [result(f"P{i}", "a", mae) for i, mae in enumerate([10.0, 20.0, 60.0])]
    (row,) = summarise(results, metrics=[MAE], groups={})
    assert (row.n, row.mean, row.median) == (3, 30.0, 20.0)
    assert row.sd == pytest.approx(math.sqrt(700.0))
    assert 10.0 <= row.low < 30.0 < row.high <= 60.0


def test_groups_have_rows_of_their_own_beside_all() -> None:
    results = [result(f"P{i}", "a", 10.0 * i) for i in range(1, 5)]
    rows = summarise(results, metrics=[MAE], groups={"P1": "x", "P2": "x", "P3": "y"})
    assert [(r.group, r.n, r.mean) for r in rows] == [
        ("all", 4, 25.0), ("x", 2, 15.0), ("y", 1, 30.0),
    ]  # fmt: skip
    assert math.isnan(rows[1].low)
    assert math.isnan(rows[2].sd)


def test_what_is_not_defined_or_infinite_is_not_averaged_and_lowers_n() -> None:
    results = [
        result("P1", "a", 10.0, psnr_db=math.inf),
        result("P2", "a", 20.0, psnr_db=30.0),
        result("P3", "a", 20.0, psnr_db=math.nan),
    ]
    (row,) = summarise(results, metrics=[PSNR], groups={})
    assert (row.n, row.mean) == (1, 30.0)
    (none,) = summarise(results[:1], metrics=[PSNR], groups={})
    assert none.n == 0
    assert math.isnan(none.mean)


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    samples = rng.normal(50.0, 10.0, size=(60, 25))
    covered = [low <= 50.0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(covered) >= 0.85
    beside = [low <= 60.0 <= high for low, high in map(mean_interval, samples)]
    assert np.mean(beside) < 0.1


def test_the_interval_is_the_same_every_time_and_of_equal_values_a_point() -> None:
    sample = np.array([3.0, 5.0, 9.0, 4.0])
    assert mean_interval(sample) == mean_interval(sample)
    assert mean_interval(np.full(5, 0.3)) == (0.3, 0.3)
    assert all(math.isnan(end) for end in mean_interval(sample[:2]))


def test_wilcoxon_of_eight_that_all_fell_is_two_in_256() -> None:
    results = [result(f"P{i}", "a", 100.0 + i) for i in range(8)]
    results += [result(f"P{i}", "b", 90.0 - i * i) for i in range(8)]
    (row,) = compare(results, metrics=[MAE])
    assert (row.first, row.second, row.n) == ("a", "b", 8)
    assert row.p == pytest.approx(2.0 / 256.0)
    assert row.p_holm == row.p
    assert row.mean_difference == pytest.approx(10.0 + np.mean([i + i * i for i in range(8)]))
    mixed = [*results[:8], *(result(f"P{i}", "b", 100.0 + i + (-1) ** i * i) for i in range(8))]
    assert compare(mixed, metrics=[MAE])[0].p > 0.5


def test_only_patients_of_both_methods_are_compared_and_by_their_names() -> None:
    a = [result(f"P{i}", "a", 10.0 * i) for i in range(1, 8)]
    b = [result(f"P{i}", "b", 10.0 * i + 1.0) for i in reversed(range(3, 9))]
    (row,) = compare([*a, *b], metrics=[MAE])
    assert row.n == 5
    assert row.mean_difference == pytest.approx(-1.0)


def test_equal_methods_do_not_differ_and_strangers_are_not_tested() -> None:
    same = [result(f"P{i}", m, 10.0 + i) for i in range(6) for m in "ab"]
    assert compare(same, metrics=[MAE])[0].p == 1.0
    apart = [result("P1", "a", 1.0), result("P2", "b", 1.0)]
    row = compare(apart, metrics=[MAE])[0]
    assert row.n == 0
    assert math.isnan(row.p_holm)


def test_holm_by_hand() -> None:
    # 4 tests: 0.01 * 4, max(0.04, 0.015 * 3), max(., 0.03 * 2), max(., 0.04 * 1).
    assert holm([0.01, 0.04, 0.03, 0.015]) == pytest.approx([0.04, 0.06, 0.06, 0.045])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02])
    assert math.isnan(corrected[0])
    assert corrected[1] == 0.02


def test_every_pair_of_three_methods_is_corrected_for_all_tests() -> None:
    results = [
        result(f"P{i}", m, 10.0 * (k + 1) + i) for i in range(8) for k, m in enumerate("abc")
    ]
    rows = compare(results, metrics=[MAE, PSNR])
    assert [(r.first, r.second) for r in rows[::2]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(row.p_holm == pytest.approx(6 * 2.0 / 256.0) for row in rows)


def test_a_protocol_has_its_own_similarity_alone() -> None:
    assert "ms_ssim" not in {m.column for m in metrics_of("synthrad2023")}
    assert "ssim" not in {m.column for m in metrics_of("synthrad2025")}
