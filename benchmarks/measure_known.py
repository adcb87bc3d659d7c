"""Measure what a model knows: the ranges of the signs of doubt, for its card, and what they catch.

    python -m benchmarks.measure_known --labels LABELMAPS --heads 13 14 15 16 \
        --scans MR [MR ...] --model MODEL --out DIR [--into FOLDER] [--reverse NAME]

Signs are measured on heads simulated from label maps (T1, T2, FLAIR; slices of 1 and 5 mm), on the
phantom's head in three contrasts, and on acquired head MRs. Prints in Markdown: the ranges, how many
known heads would be flagged if their person were not among the measured, and a table of odd inputs
by signs. ``signs.csv`` and ``odd.csv`` in DIR hold all figures. With ``--into`` the ranges go onto
the card in that folder, with ``--reverse`` the name of the reverse model, too.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.score_head_mr_ct import simulate
from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.doubt import verdict
from medcyclegan.errors import MedcycleganError
from medcyclegan.io.scan import ItkPassport, Scan
from medcyclegan.models.card import Card
from medcyclegan.models.known import Known, Range
from medcyclegan.models.store import CARD_NAME, Model, read_card
from medcyclegan.simulate.labelmaps import prepare_head
from medcyclegan.simulate.phantom import default_geometry, make_phantom
from medcyclegan.volume import Volume
from tests.odd_scans import ODD

SLICES_MM = (1.0, 5.0)
ODD_SPACING_MM = 1.5
SLACKS = (1.0, 1.1, 1.25, 1.5)
Figures = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """The signs of one scan; scans of one ``person`` are left out together."""

    name: str
    person: str
    figures: Figures
    reverse_sha256: str | None
    refused: str = ""


def measured(name: str, person: str, scan: Scan, model: Model) -> Measured:
    """Translate a scan and return its signs, or why it was refused."""
    try:
        signs = synthesize(scan, model).signs
    except MedcycleganError as error:
        return Measured(name, person, {}, None, refused=error.found)
    assert signs is not None
    return Measured(name, person, signs.figures(), signs.reverse_sha256)


def scan_of(mr: Volume, name: str) -> Scan:
    """A volume as a reader would give it."""
    return Scan(mr, ItkPassport(), Path(name), "MR")


def simulated(labels: Path, heads: list[int], model: Model) -> Iterator[Measured]:
    """Yield the signs of simulated heads, three contrasts and two distances of slices each."""
    paths = sorted(labels.glob("*.nii.gz"))
    for number in heads:
        volume = read_scan(paths[number - 1]).volume
        head = prepare_head(Volume(volume.voxels, volume.geometry, "label"))
        for slice_mm in SLICES_MM:
            for contrast, mr, _ in simulate(head, slice_mm=slice_mm, seed=1000 + number):
                name = f"simulated head {number} {contrast} {slice_mm:g} mm"
                yield measured(name, f"head {number}", scan_of(mr, name), model)


def phantoms(model: Model) -> Iterator[Measured]:
    """Yield the signs of the phantom's head."""
    for seed, contrast in enumerate(("t1", "t2", "flair"), start=1):
        mr = make_phantom(default_geometry(), contrast=contrast, seed=seed).mr
        yield measured(f"phantom {contrast}", f"phantom {seed}", scan_of(mr, contrast), model)


def acquired(paths: list[Path], model: Model) -> Iterator[Measured]:
    """Yield the signs of acquired scans; files in one folder are of one person, folders their own."""
    for path in paths:
        person = str(path if path.is_dir() else path.parent)
        person = person if path.parent.name.startswith("patient") else str(path)
        yield measured(f"{path.parent.name}/{path.name}", person, read_scan(path), model)


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


def odd_rows(model: Model) -> Iterator[Measured]:
    """Yield the signs of inputs that are no heads, or not the whole of one."""
    for name, make in ODD.items():
        yield measured(name, name, scan_of(make(ODD_SPACING_MM), name), model)


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


def put_on_card(folder: Path, known: Known, reverse: str | None) -> None:
    """Write the ranges onto the card in a model folder."""
    changes: dict[str, object] = {"known": known}
    if reverse is not None:
        changes["reverse"] = reverse
    updated = read_card(folder).model_copy(update=changes)
    (folder / CARD_NAME).write_text(updated.model_dump_json(indent=2) + "\n", encoding="utf-8")


def ready_to_measure(name: str, reverse: str | None) -> Model:
    """Open a model with a card that has all signs measured and none judged."""
    model = load_model(name)
    changes: dict[str, object] = {"known": Known(measured_on="nothing yet")}
    if reverse is not None:
        changes["reverse"] = reverse
    card: Card = model.card.model_copy(update=changes)
    return replace(model, card=card)


def save(rows: list[Measured], path: Path) -> None:
    """Write all figures as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["input", *names, "refused"])
        for row in rows:
            figures = [f"{row.figures[n]:.4g}" if n in row.figures else "" for n in names]
            writer.writerow([row.name, *figures, row.refused])


def main() -> None:
    """Parse the arguments, measure, print, and write the card if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--heads", type=int, nargs="+", required=True, help="counted from 1")
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--reverse")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--into", type=Path, help="model folder whose card gets the ranges")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = ready_to_measure(arguments.model, arguments.reverse)
    rows = [*acquired(arguments.scans, model), *phantoms(model)]
    rows += simulated(arguments.labels, arguments.heads, model)
    report(rows, model, arguments)


def report(rows: list[Measured], model: Model, arguments: argparse.Namespace) -> None:
    """Print the tables, save the figures, and write the card if asked to."""
    taken = [row for row in rows if not row.refused]
    heads = ", ".join(str(number) for number in arguments.heads)
    where = f"{len(arguments.scans)} acquired head MRs, simulated heads {heads}, 3 phantom heads"
    known = ranges_of(taken, where)
    odd = list(odd_rows(model))
    save(rows, arguments.out / "signs.csv")
    save(odd, arguments.out / "odd.csv")
    for lines in (table(rows, known), table(odd, known), left_out(taken)):
        print("\n".join(lines), end="\n\n")
    if arguments.into:
        put_on_card(arguments.into, known, arguments.reverse)


if __name__ == "__main__":
    main()
