"""Tables as files: columns, precision, what is empty, and LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import json
import math

from medcyclegan.evaluation.study.score_columns import METRICS
from medcyclegan.evaluation.study.statistics import compare, summarise
from medcyclegan.evaluation.study.tables import (
    as_csv,
    as_json,
    comparison_table,
    escaped,
    p_text,
    score_rows,
    score_table,
    summary_rows,
    summary_table,
)
from tests.evaluation.study.scores import result

RESULTS = [
    result("P_1", "a & b", 12.345678901234567, dice_bone=math.nan, psnr_db=math.inf),
    result("P_2", "a & b", 20.0),
    result("P_3", "a & b", 30.0),
    result("P_1", "50%", 10.0), result("P_2", "50%", 11.0), result("P_3", "50%", 13.0),
]  # fmt: skip


def test_columns_full_precision_and_empty_cells() -> None:
    rows = score_rows(RESULTS, metrics=METRICS, protocol="synthrad2023", groups={})
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert list(read[0]) == [
        "case", "mae_hu", "psnr_db", "ssim", "ms_ssim", "dice_bone", "mae_air_hu", "mae_soft_hu",
        "mae_bone_hu", "rmse_hu", "rmse_air_hu", "rmse_soft_hu", "rmse_bone_hu", "me_hu",
        "me_air_hu", "me_soft_hu", "me_bone_hu", "hd95_bone_mm", "msd_bone_mm", "hd95_body_mm",
        "msd_body_mm", "protocol", "method",
    ]  # fmt: skip
    assert read[0]["hd95_bone_mm"] == ""  # not computed is not 0
    assert float(read[0]["mae_hu"]) == 12.345678901234567
    assert (read[0]["ms_ssim"], read[0]["dice_bone"], read[0]["psnr_db"]) == ("", "", "inf")
    assert {row["protocol"] for row in read} == {"synthrad2023"}
    with_groups = score_rows(RESULTS, metrics=METRICS, protocol="synthrad2023", groups={"P_1": "x"})
    assert [row["group"] for row in with_groups[:2]] == ["x", ""]


def test_json_holds_null_and_never_nan() -> None:
    rows = json.loads(
        as_json(score_rows(RESULTS, metrics=METRICS, protocol="synthrad2023", groups={})),
        parse_constant=lambda name: name,
    )
    assert rows[0]["dice_bone"] is None
    assert rows[0]["psnr_db"] is None
    assert rows[1]["psnr_db"] == 38.0


def test_an_empty_table_has_its_header() -> None:
    assert as_csv([], columns=("a", "b")) == "a,b\n"


def test_latex_is_escaped_balanced_and_names_the_protocol() -> None:
    summaries = summarise(RESULTS, metrics=METRICS, groups={})
    comparisons = compare(RESULTS, metrics=METRICS)
    tables = (
        score_table(RESULTS, metrics=METRICS, protocol="synthrad2023"),
        summary_table(summaries, protocol="synthrad2023"),
        comparison_table(comparisons, protocol="synthrad2023"),
    )
    for text in tables:
        assert r"a \& b" in text
        assert r"50\%" in text
        assert "synthrad2023" in text
        assert "nan" not in text
        begun = [line for line in text.splitlines() if r"\begin{" in line]
        assert len(begun) == text.count(r"\end{")
        body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
        columns = {
            line.replace(r"\&", "").count("&")
            for line in body.splitlines()
            if line.endswith(r"\\") and "multicolumn" not in line
        }
        assert len(columns) == 1
    assert r"P\_1" in tables[0]
    assert r"$\infty$" in tables[0]
    assert "($n = 2$)" in tables[1]


def test_escapes_of_all_that_latex_takes_for_its_own() -> None:
    assert escaped(r"\&%$#_{}~^") == (
        r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}"
    )


def test_p_values_are_not_rounded_to_zero() -> None:
    assert p_text(0.00001) == "$<$ 0.001"
    assert p_text(0.0456) == "0.046"
    assert p_text(math.nan) == "--"


def test_a_summary_row_names_its_protocol() -> None:
    rows = summary_rows(summarise(RESULTS, metrics=METRICS, groups={}), protocol="synthrad2023")
    assert {row["protocol"] for row in rows} == {"synthrad2023"}
    assert rows[0]["ci95_low"] is not None
