"""The tables of a study for LaTeX, in the manner of the package booktabs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medcyclegan.evaluation.study.measure import Measured
from medcyclegan.evaluation.study.statistics import (
    ALL,
    Comparison,
    Metric,
    Summary,
    metrics_of,
    value_of,
)

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
