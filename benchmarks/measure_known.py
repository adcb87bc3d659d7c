"""Measure what a model knows: the ranges of the signs of doubt, for its card, and what they catch.

    python -m benchmarks.measure_known --labels LABELMAPS --heads 13 14 15 16 \
        --scans MR [MR ...] --model MODEL --out DIR [--into FOLDER] [--reverse NAME]

Signs are measured on heads simulated from label maps (T1, T2, FLAIR; slices of 1 and 5 mm), on the
phantom's head in three contrasts, and on acquired head MRs. Prints in Markdown: the signs of these
and of odd inputs, and how many known heads would be flagged if their person had not been measured.
``signs.csv`` and ``odd.csv`` in DIR hold all figures. With ``--into`` the ranges go onto the card
in that folder, with ``--reverse`` the name of the reverse model, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.cards import update_card
from benchmarks.heads import read_head
from benchmarks.known_tables import Measured, left_out, ranges_of, save, table
from benchmarks.score_head_mr_ct import simulate
from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.errors import MedcycleganError
from medcyclegan.io.scan import ItkPassport, Scan
from medcyclegan.models.card import Card
from medcyclegan.models.known import Known
from medcyclegan.models.store import Model
from medcyclegan.simulate.phantom import default_geometry, make_phantom
from medcyclegan.volume import Volume
from tests.odd_scans import ODD

SLICES_MM = (1.0, 5.0)
ODD_SPACING_MM = 1.5


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


def simulated(
    labels: Path, heads: list[int], model: Model, *, prepared: Path | None
) -> Iterator[Measured]:
    """Yield the signs of simulated heads, three contrasts and two distances of slices each."""
    for number in heads:
        head = read_head(labels, number, prepared=prepared)
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
    """Yield the signs of acquired scans; those in one folder ``patient...`` are of one person."""
    for path in paths:
        person = str(path if path.is_dir() else path.parent)
        person = person if path.parent.name.startswith("patient") else str(path)
        yield measured(f"{path.parent.name}/{path.name}", person, read_scan(path), model)


def odd_rows(model: Model) -> Iterator[Measured]:
    """Yield the signs of inputs that are no heads, or not the whole of one."""
    for name, make in ODD.items():
        yield measured(name, name, scan_of(make(ODD_SPACING_MM), name), model)


def put_on_card(folder: Path, known: Known, reverse: str | None) -> None:
    """Write the ranges onto the card in a model folder."""
    changes: dict[str, object] = {"known": known}
    if reverse is not None:
        changes["reverse"] = reverse
    update_card(folder, **changes)


def ready_to_measure(name: str, reverse: str | None) -> Model:
    """Open a model with a card that has all signs measured and none judged."""
    model = load_model(name)
    changes: dict[str, object] = {"known": Known(measured_on="nothing yet")}
    if reverse is not None:
        changes["reverse"] = reverse
    card: Card = model.card.model_copy(update=changes)
    return replace(model, card=card)


def main() -> None:
    """Parse the arguments, measure, print, and write the card if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
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
    rows += simulated(arguments.labels, arguments.heads, model, prepared=arguments.prepared)
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
