"""Score a model on whole heads simulated from label maps that it was not trained on.

    python -m benchmarks.score_head_mr_ct --labels LABELMAPS --heads 15 16 --model MODEL --out DIR

Writes ``scores.csv`` and prints a table in Markdown; with ``--into FOLDER`` the model's means also
go onto the card in that folder. Beside the model stand bulk density (water, 0 HU, inside the body
mask, air outside, which is what a planner does without a CT), thresholding (``thresholding.py``),
and, by ``--reference LABEL=FOLDER``, other models: as one of the recipe ``reference`` of
``compare_recipes``, exported by ``medcyclegan export``.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.cards import put_scores
from benchmarks.heads import read_head
from benchmarks.thresholding import thresholded_ct
from medcyclegan import load_model, synthesize
from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.metrics import Scores, score
from medcyclegan.imaging.body_mask import body_mask_ct
from medcyclegan.imaging.resampling import AXIAL
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.card import Score
from medcyclegan.models.store import Model
from medcyclegan.simulate.contrasts import standard_signal
from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue, middle_voxel
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import render_ct, render_mr
from medcyclegan.simulate.slab_grid import SlabGrid

FIELD_OF_VIEW_MM = 250
SIGNAL_SCALE = 1000.0
BONE_HU = 250.0
CONTRASTS = ("t1", "t2", "flair")
UNITS = {
    "mae_hu": "HU", "psnr_db": "dB", "ssim": "", "dice_bone": "",
    "mae_air_hu": "HU", "mae_soft_hu": "HU", "mae_bone_hu": "HU", "me_bone_hu": "HU",
}  # fmt: skip


def simulate(
    head: HeadAnatomy, *, slice_mm: float, seed: int
) -> Iterator[tuple[str, Volume, Volume]]:
    """Yield (contrast, MR, true CT) of one head; anatomy and pose are the same in all three."""
    rng = np.random.default_rng(seed)
    grid = SlabGrid(
        depth=round(FIELD_OF_VIEW_MM / slice_mm),
        size_px=FIELD_OF_VIEW_MM,
        pixel_mm=1.0,
        slice_spacing_mm=slice_mm,
        slice_thickness_mm=slice_mm,
        normal_axis=AXIAL,
    )
    slab: TissueSlab = draw_tissue(head, grid, rng, place=middle_voxel)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = slice_mm, 1.0, 1.0, 1.0
    geometry = Geometry((grid.depth, grid.size_px, grid.size_px), affine)
    ct = Volume(render_ct(slab, rng), geometry, "HU")
    for name in CONTRASTS:
        mr = render_mr(slab, signal=standard_signal(name), rng=rng) * SIGNAL_SCALE
        yield name, Volume(mr.astype(np.float32), geometry, "a.u."), ct


def rows_of(
    head: HeadAnatomy,
    number: int,
    *,
    model: Model,
    slice_mm: float,
    references: Mapping[str, Model] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield a row for the model, the baselines and the references, for each contrast."""
    for contrast, mr, ct in simulate(head, slice_mm=slice_mm, seed=1000 + number):
        body = body_mask_ct(ct)
        scan = Scan(mr, ItkSourceHeader(), Path(f"head {number}"), "MR")
        result = synthesize(scan, model)
        bulk = ct.with_voxels(np.where(result.body.voxels > 0, 0.0, -1000.0).astype(np.float32))
        images = {
            "model": result.image,
            "bulk density": bulk,
            "thresholding": thresholded_ct(mr, result.body),
        }
        for label, reference in (references or {}).items():
            images[label] = synthesize(scan, reference).image
        for method, image in images.items():
            scores: Scores = score(image, ct, body, protocol="synthrad2023")
            case = {"head": number, "contrast": contrast, "slice_mm": slice_mm, "method": method}
            yield {**case, **asdict(scores), "bone_volume": bone_volume(image, ct, body)}


def bone_volume(image: Volume, ct: Volume, body: Volume) -> float:
    """The volume above 250 HU inside a body mask, over that of the true CT."""
    inside = body.voxels > 0
    made, true = ((one.voxels[inside] > BONE_HU).sum() for one in (image, ct))
    return float(made / true)


def summary(rows: list[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: means over heads."""
    names = [*UNITS, "bone_volume"]
    yield "| slices | contrast | method | " + " | ".join(names) + " |"
    yield "| --- " * (3 + len(names)) + "|"
    keys = sorted({(row["slice_mm"], row["contrast"], row["method"]) for row in rows}, key=str)
    for key in keys:
        same = [r for r in rows if (r["slice_mm"], r["contrast"], r["method"]) == key]
        means = [float(np.mean([float(str(row[name])) for row in same])) for name in names]
        values = " | ".join(f"{mean:.3g}" for mean in means)
        yield f"| {key[0]:g} mm | {key[1]} | {key[2]} | {values} |"


def put_on_card(rows: list[dict[str, object]], folder: Path, *, heads: list[int]) -> None:
    """Replace the scores on a model's card by the means over heads, a contrast and spacing each."""
    scores: list[Score] = []
    for slice_mm in (1.0, 5.0):
        for contrast in CONTRASTS:
            case = {"slice_mm": slice_mm, "contrast": contrast, "method": "model"}
            same = [r for r in rows if all(r[key] == value for key, value in case.items())]
            on = f"simulated {contrast}, {slice_mm:g} mm slices, heads {heads}, not trained on"
            for name, unit in UNITS.items():
                mean = float(np.mean([float(str(row[name])) for row in same]))
                scores.append(Score(measure=name, value=round(mean, 3), unit=unit, on=on))
    put_scores(folder, scores)


def labelled_model(argument: str) -> tuple[str, Model]:
    """Open the model of ``LABEL=FOLDER``; without a label, it is the folder's name."""
    label, sign, folder = argument.rpartition("=")
    return (label if sign else Path(folder).name), load_model(folder)


def main() -> None:
    """Parse the arguments, simulate, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--heads", type=int, nargs="+", required=True, help="counted from 1")
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--reference", action="append", default=[], metavar="LABEL=FOLDER")
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--into", type=Path, help="model folder whose card gets the scores")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = load_model(arguments.model)
    references = dict(map(labelled_model, arguments.reference))
    rows: list[dict[str, object]] = []
    for number in arguments.heads:
        head = read_head(arguments.labels, number, prepared=arguments.prepared)
        for slice_mm in (1.0, 5.0):
            rows += rows_of(head, number, model=model, slice_mm=slice_mm, references=references)
    with (arguments.out / "scores.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(summary(rows)))
    if arguments.into:
        put_on_card(rows, arguments.into, heads=arguments.heads)


if __name__ == "__main__":
    main()
