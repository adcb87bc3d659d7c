"""Result of a study and its tables, as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from medcyclegan.evaluation.study.patient import Patient, Refusal
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.evaluation.study.statistics import (
    ALL,
    METRICS,
    Comparison,
    Measured,
    Metric,
    Summary,
    metrics_of,
    value_of,
)


@dataclass(frozen=True, eq=False)
class Study:
    """What ``evaluate_study`` found.

    ``unmatched`` are images that found no partner by name, ``refused`` those that could not be
    scored. ``notes`` tells by patient what was done to its reference, mask or MR; ``warnings``
    are of the study as a whole. ``groups`` holds the group of each patient that has one.
    """

    request: StudyRequest
    version: str
    made_at: datetime
    patients: tuple[Patient, ...]
    results: tuple[Measured, ...]
    unmatched: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]
    notes: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    groups: dict[str, str]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def protocol(self) -> str:
        """The protocol that every number of the study is by."""
        return self.request.protocol

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of which an image was scored, in the order they were given in."""
        scored = {result.method for result in self.results}
        return tuple(m.name for m in self.request.methods if m.name in scored)

    @property
    def mask_text(self) -> str:
        """Where the body masks come from, in words."""
        if self.request.mask is None:
            return "found in each reference CT (values above -400 HU, filled, without the couch)"
        return "as given"

    def notes_on(self, case: str) -> tuple[str, ...]:
        """All that there is to say about a patient, a sentence each."""
        found = list(self.notes.get(case, ()))
        for result in self.results:
            if result.case == case:
                found += [f"{result.method}: {note}" for note in result.notes]
        return tuple(found)


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


_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def escaped(text: str) -> str:
    """Write text so that LaTeX sets it as it stands."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def score_table(results: Sequence[Measured], *, protocol: str) -> str:
    """A row for each scored image, over as many pages as it takes (package longtable)."""
    metrics = metrics_of(protocol)
    heading = " & ".join(["Case", "Method", *(escaped(m.title) for m in metrics)])
    lines = [
        _HEAD,
        rf"\begin{{longtable}}{{ll{'r' * len(metrics)}}}",
        rf"\caption{{Scores by patient, protocol {escaped(protocol)}.}} \\",
        r"\toprule",
        rf"{heading} \\",
        r"\midrule",
        r"\endhead",
    ]
    for result in results:
        values = [_value(value_of(result.scores, m), m) for m in metrics]
        lines.append(" & ".join([escaped(result.case), escaped(result.method), *values]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}", ""])


def summary_table(summaries: Sequence[Summary], *, protocol: str) -> str:
    """Mean and standard deviation with the interval of the mean: scores down, methods across."""
    methods = list(dict.fromkeys(s.method for s in summaries))
    cells = {(s.group, s.metric.column, s.method): s for s in summaries}
    body = []
    for group in dict.fromkeys(s.group for s in summaries):
        patients = max(s.n for s in summaries if s.group == group)
        title = "All patients" if group == ALL else escaped(group)
        span = 1 + len(methods)
        body.append(rf"\multicolumn{{{span}}}{{l}}{{\textit{{{title}, $n = {patients}$}}}} \\")
        for metric in metrics_of(protocol):
            row = [_summary(cells[group, metric.column, m], patients) for m in methods]
            body.append(" & ".join([escaped(metric.title), *row]) + r" \\")
    caption = (
        "Mean $\\pm$ standard deviation over patients and, in brackets, the 95\\,\\% bootstrap "
        f"interval of the mean. Protocol {escaped(protocol)}."
    )
    heading = ["", *(escaped(method) for method in methods)]
    return _table(caption, "l" * len(heading), heading, body)


def comparison_table(comparisons: Sequence[Comparison], *, protocol: str) -> str:
    """A row for each pair of methods and each score."""
    body = []
    for c in comparisons:
        names = [escaped(c.metric.title), escaped(c.first), escaped(c.second), str(c.n)]
        median = _value(c.median_difference, c.metric)
        body.append(" & ".join([*names, median, p_text(c.p), p_text(c.p_holm)]) + r" \\")
    caption = (
        "Wilcoxon signed-rank tests, paired by patient, with Holm's correction for all tests of "
        f"the table. Differences are first minus second. Protocol {escaped(protocol)}."
    )
    heading = ["Score", "First", "Second", "$n$", "Median difference", "$p$", "$p$ (Holm)"]
    return _table(caption, "lllrrrr", heading, body)


_HEAD = "% Needs \\usepackage{booktabs,longtable}. Written by medcyclegan."


def _table(caption: str, columns: str, heading: Sequence[str], body: Sequence[str]) -> str:
    return "\n".join(
        [
            _HEAD,
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(heading) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _summary(s: Summary, patients: int) -> str:
    if not s.n:
        return "--"
    text = _value(s.mean, s.metric)
    if not math.isnan(s.sd):
        text += rf" $\pm$ {_value(s.sd, s.metric)}"
    if not math.isnan(s.low):
        text += f" [{_value(s.low, s.metric)}, {_value(s.high, s.metric)}]"
    return text if s.n == patients else rf"{text} ($n = {s.n}$)"


def _value(value: float, metric: Metric) -> str:
    if math.isnan(value):
        return "--"
    if math.isinf(value):
        return r"$\infty$"
    text = f"{value:.{metric.digits}f}"
    return f"${text}$" if value < 0 else text


def p_text(p: float) -> str:
    """A p value as papers give it; no smaller than can be told."""
    if math.isnan(p):
        return "--"
    return "$<$ 0.001" if p < 0.001 else f"{p:.3f}"
