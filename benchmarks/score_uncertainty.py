"""Fit and score the map of uncertainty: does it rank the errors, and are its HU the errors' HU?

    python -m benchmarks.score_uncertainty --labels LABELMAPS --fit 13 14 --heads 15 16 \
        --model MODEL --out DIR [--contrasts t1 t2 flair] [--into FOLDER]

On the heads of ``--fit``, simulated, the spread of the translations is turned into the mean
absolute error that goes with it, over voxels in the body. On those of ``--heads`` the map is then
held against the true error: Spearman's correlation over voxels in the body, that of a shuffled map
beside it, and the mean true error in each tenth of the map. Without ``--heads`` only the fit is
made. With ``--into`` the fit goes onto the card in that folder.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.cards import update_card
from benchmarks.heads import read_head
from benchmarks.score_head_mr_ct import CONTRASTS, simulate
from medcyclegan import load_model, synthesize
from medcyclegan.doubt.spread import expected_error
from medcyclegan.foreground import body_mask_ct
from medcyclegan.io.scan import ItkPassport, Scan
from medcyclegan.models.known import SpreadCalibration
from medcyclegan.models.store import Model
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.synthesis import Options

# Of each head; the error of a mean over a tenth of them is below 1 HU.
SAMPLED_VOXELS = 300_000
TENTHS = 10
# Tenths, and finer parts where the spread is large: few voxels, and most of the error.
PART_ENDS = (*(n / 10 for n in range(1, 10)), 0.95, 0.98, 0.995)
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Spread and true absolute error, HU (n,), of voxels in the body of one simulated head."""

    name: str
    spread_hu: Values
    error_hu: Values


def pairs_of(head: HeadAnatomy, number: int, model: Model, contrasts: list[str]) -> Iterator[Pairs]:
    """Yield the pairs of one head of 1 mm, for each contrast; the spread as it is."""
    plain = replace(model, card=model.card.model_copy(update={"uncertainty": None}))
    rng = np.random.default_rng(number)
    for contrast, mr, ct in simulate(head, slice_mm=1.0, seed=1000 + number):
        if contrast not in contrasts:
            continue
        scan = Scan(mr, ItkPassport(), Path(f"head {number}"), "MR")
        done = synthesize(scan, plain, options=Options(uncertainty=True))
        assert done.uncertainty is not None
        inside = np.flatnonzero(body_mask_ct(ct).voxels > 0)
        some = rng.choice(inside, min(inside.size, SAMPLED_VOXELS), replace=False)
        error = np.abs(done.image.voxels - ct.voxels).ravel()[some].astype(float)
        spread = done.uncertainty.voxels.ravel()[some].astype(float)
        yield Pairs(f"head {number} {contrast}", spread, error)


def fitted(all_pairs: list[Pairs], fitted_on: str) -> SpreadCalibration:
    """Return the mean spread and the mean error of parts of the voxels, from least spread to most.

    Where the mean error falls from one part to the next, that of the part before is kept.
    """
    spread = np.concatenate([pairs.spread_hu for pairs in all_pairs])
    error = np.concatenate([pairs.error_hu for pairs in all_pairs])
    order = np.argsort(spread, kind="stable")
    parts = np.split(order, [round(share * order.size) for share in PART_ENDS])
    points: list[tuple[float, float]] = []
    for part in parts:
        at = round(float(spread[part].mean()), 2)
        if not points or at > points[-1][0]:
            least = points[-1][1] if points else 0.0
            points.append((at, max(least, round(float(error[part].mean()), 1))))
    spreads, errors = zip(*points, strict=True)
    return SpreadCalibration(spread=spreads, error=errors, fitted_on=fitted_on)


def map_of(pairs: Pairs, calibration: SpreadCalibration) -> Values:
    """The map of uncertainty in HU (n,), as a run gives it."""
    spread = torch.from_numpy(pairs.spread_hu)
    return np.asarray(expected_error(spread, calibration), dtype=float)


def rank(map_hu: Values, error_hu: Values) -> float:
    """Spearman's correlation of a map and the true error."""
    return float(spearmanr(map_hu, error_hu).statistic)


def reliability(map_hu: Values, error_hu: Values) -> list[tuple[float, float]]:
    """Mean of the map and mean true error, HU, in each tenth of the voxels by the map."""
    tenths = np.array_split(np.argsort(map_hu, kind="stable"), TENTHS)
    return [(float(map_hu[t].mean()), float(error_hu[t].mean())) for t in tenths]


def lines_of(all_pairs: list[Pairs], calibration: SpreadCalibration) -> Iterator[str]:
    """Yield tables in Markdown: ranks by head, and the reliability of all together."""
    rng = np.random.default_rng(0)
    maps = [map_of(pairs, calibration) for pairs in all_pairs]
    yield "| head | Spearman | of a shuffled map | mean of the map, HU | mean error, HU |"
    yield "| --- " * 5 + "|"
    for pairs, map_hu in zip(all_pairs, maps, strict=True):
        ranks = [rank(one, pairs.error_hu) for one in (map_hu, rng.permutation(map_hu))]
        means = f"{map_hu.mean():.0f} | {pairs.error_hu.mean():.0f}"
        yield f"| {pairs.name} | {ranks[0]:.3f} | {ranks[1]:.3f} | {means} |"
    yield ""
    yield "| tenth of the map | mean of the map, HU | mean error, HU |"
    yield "| --- " * 3 + "|"
    error = np.concatenate([pairs.error_hu for pairs in all_pairs])
    for number, (said, true) in enumerate(reliability(np.concatenate(maps), error), start=1):
        yield f"| {number} | {said:.0f} | {true:.0f} |"


def save(all_pairs: list[Pairs], calibration: SpreadCalibration, path: Path) -> None:
    """Write the reliability of each head as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["head", "spearman", "tenth", "map_hu", "error_hu"])
        for pairs in all_pairs:
            map_hu = map_of(pairs, calibration)
            for number, means in enumerate(reliability(map_hu, pairs.error_hu), start=1):
                figures = [f"{value:.2f}" for value in means]
                found = f"{rank(map_hu, pairs.error_hu):.3f}"
                writer.writerow([pairs.name, found, number, *figures])


def main() -> None:
    """Parse the arguments, fit, score, print, and write the card if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    parser.add_argument("--fit", type=int, nargs="+", required=True, help="counted from 1")
    parser.add_argument("--heads", type=int, nargs="*", default=[], help="counted from 1")
    parser.add_argument("--contrasts", nargs="+", choices=CONTRASTS, default=list(CONTRASTS))
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--into", type=Path, help="model folder whose card gets the fit")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = load_model(given.model)

    def of(numbers: list[int]) -> list[Pairs]:
        each = (
            pairs_of(read_head(given.labels, n, prepared=given.prepared), n, model, given.contrasts)
            for n in numbers
        )
        return [pairs for some in each for pairs in some]

    to_fit = of(given.fit)
    where = f"simulated heads {given.fit}, {', '.join(given.contrasts)}, 1 mm slices"
    calibration = fitted(to_fit, where)
    print(f"spread HU: {calibration.spread}\nerror HU: {calibration.error}\n")
    for name, some in (("fit", to_fit), ("held_out", of(given.heads))):
        if some:
            print(f"{name}:\n\n" + "\n".join(lines_of(some, calibration)) + "\n", flush=True)
            save(some, calibration, given.out / f"{name}.csv")
    if given.into:
        update_card(given.into, uncertainty=calibration)


if __name__ == "__main__":
    main()
