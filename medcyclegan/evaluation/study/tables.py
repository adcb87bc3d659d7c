"""Result of a study and its tables, as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from medcyclegan.evaluation.dose import DoseResult
from medcyclegan.evaluation.study.further import BeamScore
from medcyclegan.evaluation.study.patient import Patient, Refusal
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.evaluation.study.score_columns import (
    FAMILIES,
    METRICS,
    Metric,
    Result,
    metrics_of,
    value_of,
)
from medcyclegan.evaluation.study.signals import MeasuredSignal
from medcyclegan.evaluation.study.statistics import ALL, Comparison, Measured, Summary
from medcyclegan.evaluation.viewer import Viewer


@dataclass(frozen=True, eq=False)
class Study:
    """What ``evaluate_study`` found.

    ``unmatched`` are images that found no partner by name, ``refused`` those that could not be
    scored. ``notes`` tells by patient what was done to its reference, mask or MR; ``warnings``
    are of the study as a whole. ``groups`` holds the group of each patient that has one, ``doses``
    what another program computed on the images. ``results`` are all of the request's kind.
    ``viewers`` holds by case what the report shows of the images; pictures have none.
    """

    request: StudyRequest
    version: str
    made_at: datetime
    patients: tuple[Patient, ...]
    results: tuple[Measured | MeasuredSignal, ...]
    unmatched: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]
    notes: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    groups: dict[str, str]
    summaries: tuple[Summary, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    doses: tuple[DoseResult, ...] = ()
    viewers: dict[str, Viewer] = field(default_factory=dict)

    @property
    def is_of_ct(self) -> bool:
        """Whether it is of CTs in HU, or of signal without a unit."""
        return self.request.kind in (None, "ct")

    @property
    def protocol(self) -> str:
        """The protocol, or the range of intensities, that every number of the study is by."""
        intensities = self.request.intensities
        return self.request.protocol if intensities is None else intensities.name

    @property
    def paths(self) -> Literal["", "body", "target"]:
        """Where the rays of water-equivalent paths end; nothing if there are none."""
        if self.request.water_paths is None:
            return ""
        return "body" if self.request.target is None else "target"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The scores that it has."""
        return metrics_of(self.protocol, paths=self.paths)

    @property
    def columns(self) -> tuple[Metric, ...]:
        """The scores that its tables have columns for, some of them empty."""
        if not self.is_of_ct:
            return self.metrics
        return (*METRICS, *(m for m in self.metrics if m.family == "path"))

    @property
    def cts(self) -> tuple[Measured, ...]:
        """The results of synthetic CTs."""
        return tuple(result for result in self.results if isinstance(result, Measured))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of which an image was scored, in the order they were given in."""
        scored = {result.method for result in self.results}
        return tuple(m.name for m in self.request.methods if m.name in scored)

    @property
    def mask_text(self) -> str:
        """Where the body masks come from, in words."""
        if self.request.mask is None and self.request.kind == "picture":
            return "none, the whole picture counts"
        if self.request.mask is None and self.request.kind == "mr":
            return "found in each true image (signal above the background, filled)"
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


def score_rows(
    results: Sequence[Result],
    *,
    metrics: Sequence[Metric],
    protocol: str,
    groups: dict[str, str],
) -> list[Row]:
    """A row for each scored image; None where the protocol has no such score.

    Of signal, ``ref_high`` and ``pred_high`` are the values that count as 1.
    """
    rows = []
    for result in results:
        row: Row = {"case": result.case}
        row |= {metric.column: _number(value_of(result, metric)) for metric in metrics}
        if isinstance(result, MeasuredSignal):
            row |= {name: result.value(name) for name in ("ref_high", "pred_high")}
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


def beam_rows(results: Sequence[Measured], *, curve: str) -> list[Row]:
    """A row for each beam of each scored image: water-equivalent paths and range errors, in mm."""
    return [
        {"case": result.case, "method": result.method} | _beam_row(beam) | {"curve": curve}
        for result in results
        for beam in result.beams
    ]


def _beam_row(beam: BeamScore) -> Row:
    ranges = beam.range_error
    return {
        "gantry_deg": beam.gantry_deg,
        "rays": beam.wepl.n,
        "rays_cut": beam.cut,
        "wepl_ct_mean_mm": _number(beam.ct_mean_mm),
        "wepl_mean_mm": _number(beam.wepl.mean_mm),
        "wepl_sd_mm": _number(beam.wepl.sd_mm),
        "wepl_p95_mm": _number(beam.wepl.p95_abs_mm),
        "range_rays": None if ranges is None else ranges.n,
        "range_mean_mm": None if ranges is None else _number(ranges.mean_mm),
        "range_sd_mm": None if ranges is None else _number(ranges.sd_mm),
        "range_p95_mm": None if ranges is None else _number(ranges.p95_abs_mm),
    }


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


def score_table(results: Sequence[Result], *, metrics: Sequence[Metric], protocol: str) -> str:
    """A row for each scored image, over as many pages as it takes (package longtable).

    A table for each family of scores, as a page is not wide enough for all.
    """
    tables = [_HEAD]
    for family, title in FAMILIES.items():
        mine = [metric for metric in metrics if metric.family == family]
        if mine:
            tables.append(_score_table(results, mine, f"{title}, protocol {escaped(protocol)}"))
    return "\n".join(tables)


def _score_table(results: Sequence[Result], metrics: Sequence[Metric], caption: str) -> str:
    heading = " & ".join(["Case", "Method", *(escaped(m.title) for m in metrics)])
    lines = [
        rf"\begin{{longtable}}{{ll{'r' * len(metrics)}}}",
        rf"\caption{{{caption}, by patient.}} \\",
        r"\toprule",
        rf"{heading} \\",
        r"\midrule",
        r"\endhead",
    ]
    for result in results:
        values = [_value(value_of(result, m), m) for m in metrics]
        lines.append(" & ".join([escaped(result.case), escaped(result.method), *values]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}", ""])


def summary_table(summaries: Sequence[Summary], *, protocol: str) -> str:
    """Mean and standard deviation with the interval of the mean: scores down, methods across."""
    metrics = list(dict.fromkeys(s.metric for s in summaries))
    methods = list(dict.fromkeys(s.method for s in summaries))
    cells = {(s.group, s.metric.column, s.method): s for s in summaries}
    body = []
    for group in dict.fromkeys(s.group for s in summaries):
        patients = max(s.n for s in summaries if s.group == group)
        title = "All patients" if group == ALL else escaped(group)
        span = 1 + len(methods)
        body.append(rf"\multicolumn{{{span}}}{{l}}{{\textit{{{title}, $n = {patients}$}}}} \\")
        for metric in metrics:
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
