"""The tables of a study as CSV and JSON, in full precision, each row with its protocol."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from medcyclegan.evaluation.study.measure import Measured
from medcyclegan.evaluation.study.statistics import METRICS, Comparison, Summary, value_of

Cell = str | int | float | None
Row = dict[str, Cell]


def score_rows(results: Sequence[Measured], *, protocol: str, groups: dict[str, str]) -> list[Row]:
    """A row for each scored image; None where the protocol has no such score."""
    rows = []
    for result in results:
        row: Row = {"case": result.case}
        row |= {metric.column: _number(value_of(result.scores, metric)) for metric in METRICS}
        row |= {"protocol": protocol, "method": result.method}
        if groups:
            row["group"] = groups.get(result.case, "")
        rows.append(row)
    return rows


def summary_rows(summaries: Sequence[Summary], *, protocol: str) -> list[Row]:
    """A row for each score of each method in each group."""
    return [
        {
            "method": s.method,
            "group": s.group,
            "metric": s.metric.column,
            "n": s.n,
            "mean": _number(s.mean),
            "sd": _number(s.sd),
            "median": _number(s.median),
            "ci95_low": _number(s.low),
            "ci95_high": _number(s.high),
            "protocol": protocol,
        }
        for s in summaries
    ]


def comparison_rows(comparisons: Sequence[Comparison], *, protocol: str) -> list[Row]:
    """A row for each pair of methods and each score."""
    return [
        {
            "metric": c.metric.column,
            "first": c.first,
            "second": c.second,
            "n": c.n,
            "mean_difference": _number(c.mean_difference),
            "median_difference": _number(c.median_difference),
            "p": _number(c.p),
            "p_holm": _number(c.p_holm),
            "protocol": protocol,
        }
        for c in comparisons
    ]


def as_csv(rows: Sequence[Row], *, columns: Sequence[str] = ()) -> str:
    """Rows as CSV with a header; None becomes an empty cell. ``columns`` if there may be no row."""
    text = io.StringIO()
    names = list(columns or rows[0])
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(rows: Sequence[Row] | dict[str, object]) -> str:
    """Rows as JSON; None, and infinity, which JSON does not have, become null."""
    return json.dumps(_without_infinity(rows), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _without_infinity(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
