"""Tables of the signs of doubt: inputs by signs, and what ranges without a person would flag."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcyclegan.doubt import verdict
from medcyclegan.models.known import Known, Range

SLACKS = (1.0, 1.1, 1.25, 1.5, 2.0)
Figures = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """The signs of one scan; scans of one ``person`` are left out together."""

    name: str
    person: str
    figures: Figures
    reverse_sha256: str | None
    refused: str = ""


def ranges_of(all_measured: list[Measured], measured_on: str) -> Known:
    """Return the ranges of all signs over what was measured."""
    found: dict[str, Range] = {}
    for name in {name for one in all_measured for name in one.figures}:
        values = [one.figures[name] for one in all_measured if name in one.figures]
        # outwards, so that what was measured lies within
        low, high = np.floor(min(values) * 1e4) / 1e4, np.ceil(max(values) * 1e4) / 1e4
        found[name] = Range(low=float(low), high=float(high))
    reverse = {one.reverse_sha256 for one in all_measured if one.reverse_sha256}
    return Known(measured_on=measured_on, reverse_sha256=next(iter(reverse), None), **found)


def outside(figures: Figures, known: Known) -> list[str]:
    """Return the names of the signs that lie outside, as a run would say."""
    within = {name: known.range_of(name) for name in figures}
    return [
        name
        for name, value in figures.items()
        if (limits := within[name]) is not None and verdict.is_outside(name, value, limits)
    ]


def left_out(all_measured: list[Measured]) -> Iterator[str]:
    """Yield a table: how many are flagged by ranges that were measured without their person."""
    yield "| slack | flagged if their person is left out | of which acquired scans |"
    yield "| --- | --- | --- |"
    kept = verdict.SLACK
    for slack in SLACKS:
        verdict.SLACK = slack
        flagged = []
        for one in all_measured:
            others = [other for other in all_measured if other.person != one.person]
            if outside(one.figures, ranges_of(others, "others")):
                flagged.append(one.name)
        real = [name for name in flagged if "/" in name]
        yield f"| {slack:g} | {len(flagged)} of {len(all_measured)} | {len(real)} |"
    verdict.SLACK = kept


def table(rows: list[Measured], known: Known) -> Iterator[str]:
    """Yield a Markdown table of inputs by signs; figures outside stand in bold."""
    names = [name for name in Known.model_fields if known.range_of(name) is not None]
    yield "| input | " + " | ".join(names) + " | verdict |"
    yield "| --- " * (len(names) + 2) + "|"
    for row in rows:
        odd = outside(row.figures, known)
        cells = [
            f"**{row.figures[n]:.3g}**" if n in odd else f"{row.figures.get(n, np.nan):.3g}"
            for n in names
        ]
        says = "refused" if row.refused else "doubtful" if odd else "as known"
        cells = ["" for _ in names] if row.refused else cells
        yield f"| {row.name} | " + " | ".join(cells) + f" | {says} |"


def save(rows: list[Measured], path: Path) -> None:
    """Write all figures as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["input", *names, "refused"])
        for row in rows:
            figures = [f"{row.figures[n]:.4g}" if n in row.figures else "" for n in names]
            writer.writerow([row.name, *figures, row.refused])
