"""Calibrate the shipped models: reference ranges and curves of uncertainty, and what they flag.

    python -m benchmarks.calibrate_shipped --labels LABELMAPS --data DATA --out DIR \
        [--models head-mr-ct ...] [--prepared FOLDER] [--in-place] [--only-cards]

DATA is a folder of acquired scans, laid out as ``reference_images.ACQUIRED`` names them; without
it, simulated heads alone are measured. Each model is calibrated as ``medcyclegan calibrate`` does
it, and its card is written into a copy of the model, DIR/<model>, or with ``--in-place`` onto the
shipped one. Tables in Markdown go to stdout: the features of the reference images, those of inputs
that must be flagged, false alarms, and how well the map of uncertainty ranks errors. All figures
are in DIR/<model>_reference.csv and DIR/<model>_odd.csv.

The way back of head-mr-ct is measured with head-ct-mr as it is installed: put new weights of all
models in place first.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.reference_images import (
    PLANS,
    SETS,
    Plan,
    acquired,
    odd_images,
    phantoms,
    simulated,
)
from medcyclegan.models.card import ReferenceRanges, SpreadCalibration
from medcyclegan.models.store import Model, copy_with_card, find_model, load_model, write_card
from medcyclegan.quality import out_of_distribution as verdict
from medcyclegan.quality.uncertainty import ErrorSample, fitted_curve, map_of
from medcyclegan.workflow.calibrate import (
    Calibration,
    Measured,
    calibrate,
    calibrated_card,
    false_alarms,
    measure,
)

SLACKS = (1.0, 1.25, 1.5, 2.0)
TENTHS = 10


def table(rows: Sequence[Measured], ranges: ReferenceRanges) -> Iterator[str]:
    """Yield a Markdown table of inputs by the features that they are outside of."""
    yield "| input | features outside | verdict |\n| --- | --- | --- |"
    for row in rows:
        odd = verdict.outside(row.figures, ranges)
        said = ", ".join(
            f"`{name}` {verdict.FEATURES[name].number(row.figures[name])}" for name in odd
        )
        says = "refused" if row.refused else "out-of-distribution" if odd else "within"
        yield f"| {row.name} | {said} | {says} |"


def range_lines(ranges: ReferenceRanges) -> Iterator[str]:
    """Yield a Markdown table of the ranges."""
    yield "| feature | low | high |\n| --- | --- | --- |"
    for name, one in ranges.ranges.items():
        yield f"| `{name}` | {one.low:.3g} | {one.high:.3g} |"


def alarm_lines(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield who would be flagged by ranges measured without them, by slack."""
    kept = dict(verdict.FEATURES)
    taken = [one for one in measured if not one.refused]
    acquired_names = {one.name for one in taken if "/" in one.name}
    yield "| slack | flagged if their person is left out | of which acquired |"
    yield "| --- | --- | --- |"
    for slack in SLACKS:
        factor = (slack - 1.0) / (verdict.SLACK - 1.0)
        for name, feature in kept.items():
            verdict.FEATURES[name] = replace(feature, slack=1.0 + (feature.slack - 1.0) * factor)
        found = [name for name, _ in false_alarms(measured)]
        real = [name for name in found if name in acquired_names]
        yield (
            f"| {slack:g} | {len(found)} of {len(taken)} | {len(real)} of {len(acquired_names)} |"
        )
    verdict.FEATURES.update(kept)
    for name, odd in false_alarms(measured):
        yield f"- {name}: {', '.join(odd)}"


def uncertainty_lines(samples: Sequence[ErrorSample]) -> Iterator[str]:
    """Yield how a curve holds on images of other subjects than it was fitted on, by subject."""
    subjects = list(dict.fromkeys(" ".join(s.name.split()[:2]) for s in samples))
    yield "| image | Spearman | of a shuffled map | mean of the map | mean error |"
    yield "| --- " * 5 + "|"
    rng = np.random.default_rng(0)
    maps, errors = [], []
    for subject in subjects:
        others = [s for s in samples if not s.name.startswith(f"{subject} ")]
        if not others:
            return
        curve: SpreadCalibration = fitted_curve(others, fitted_on="others")
        for one in (s for s in samples if s.name.startswith(f"{subject} ")):
            said = map_of(one, curve)
            maps.append(said)
            errors.append(one.error)
            ranks = [rank(some, one.error) for some in (said, rng.permutation(said))]
            means = f"{said.mean():.1f} | {one.error.mean():.1f}"
            yield f"| {one.name} | {ranks[0]:.2f} | {ranks[1]:.2f} | {means} |"
    yield "\n| tenth of the map | mean of the map | mean error |\n| --- | --- | --- |"
    tenths = reliability(np.concatenate(maps), np.concatenate(errors))
    for number, (said_mean, true_mean) in enumerate(tenths, start=1):
        yield f"| {number} | {said_mean:.1f} | {true_mean:.1f} |"


def rank(said: np.ndarray, error: np.ndarray) -> float:
    """Spearman's correlation of a map (n,) and the true error (n,)."""
    return float(spearmanr(said, error).statistic)


def reliability(said: np.ndarray, error: np.ndarray) -> list[tuple[float, float]]:
    """Mean of the map and mean true error in each tenth of the voxels by the map."""
    parts = np.array_split(np.argsort(said, kind="stable"), TENTHS)
    return [(float(said[part].mean()), float(error[part].mean())) for part in parts]


def save(rows: Sequence[Measured], path: Path) -> None:
    """Write all figures as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["input", "subject", "data", *names, "refused"])
        for row in rows:
            cells = [f"{row.figures[n]:.4g}" if n in row.figures else "" for n in names]
            writer.writerow([row.name, row.subject, row.data, *cells, row.refused])


def calibrated(model: Model, plan: Plan, arguments: argparse.Namespace) -> Calibration:
    """Calibrate a model on all reference images of its plan."""
    images = chain(
        acquired(arguments.data, plan.contrasts) if arguments.data else (),
        simulated(
            arguments.labels, arguments.heads, plan, prepared=arguments.prepared,
            pairs=arguments.pairs,
        ),
        phantoms(plan),
    )  # fmt: skip
    return calibrate(model, images, SETS, device="cpu")


def run(name: str, arguments: argparse.Namespace) -> None:
    """Calibrate one model, print its tables, and write its card."""
    started = time.process_time()
    plan, folder = PLANS[name], find_model(name)
    model = load_model(folder)
    reverse = plan.reverse or model.card.reverse
    model = replace(model, card=model.card.model_copy(update={"reverse": reverse}))
    calibration = calibrated(model, plan, arguments)
    card = calibrated_card(model.card, calibration)
    if arguments.in_place:
        write_card(folder, card)
    else:
        copy_with_card(folder, card, to=arguments.out / name, overwrite=True)
    seconds = time.process_time() - started
    rows = calibration.measured
    save(rows, arguments.out / f"{name}_reference.csv")
    print(f"## {name}: {len(rows)} images, {seconds:.0f} s of one core\n", flush=True)
    if arguments.only_cards:
        return
    odd: list[Measured] = []
    if arguments.data:
        odd = [measure(image, model, device="cpu")[0] for image in odd_images(arguments.data, plan)]
    save(odd, arguments.out / f"{name}_odd.csv")
    for lines in (
        range_lines(calibration.ranges), table(rows, calibration.ranges),
        table(odd, calibration.ranges), alarm_lines(rows),
        uncertainty_lines(calibration.samples),
    ):  # fmt: skip
        print("\n".join(lines), end="\n\n", flush=True)


def main() -> None:
    """Parse the arguments and calibrate one model after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--data", type=Path, help="folder of acquired scans")
    parser.add_argument("--models", nargs="+", choices=list(PLANS), default=list(PLANS))
    parser.add_argument(
        "--heads", type=int, nargs="+", default=[13, 14, 15, 16],
        help="label maps, counted from 1, that no model was trained on",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", type=int, default=2, help="on how many of them the curve is fitted"
    )
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by train_model.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only-cards", action="store_true", help="leave out the tables")
    parser.add_argument("--in-place", action="store_true", help="write the shipped cards")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        run(name, arguments)


if __name__ == "__main__":
    main()
