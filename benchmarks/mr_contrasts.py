"""Hold the contrasts of simulated MR against those of real scans, tissue by tissue.

    python -m benchmarks.mr_contrasts --mr FOLDER --labels LABELMAPS --heads 1 5 9 --out DIR

FOLDER holds the real scans (``openms``, ``seg3d_t1.nii.gz``, ``niivue_t2w.nii.gz``). Real scans are
measured in the boxes of ``REGIONS``, which were put by eye into enlarged slices and profiles of
scalp and skull (bone: where they are darkest): medians, and ratios within one slice alone, for
coils shade. Simulated heads are measured where all of a voxel is one tissue, with everything that
a scanner adds. Writes ``mr_contrasts.csv``, a line a scan or draw, and prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads import read_head
from medcyclegan import read_scan
from medcyclegan.core.geometry import closest_axes
from medcyclegan.simulate.contrasts import contrast_in, draw_sequence_of
from medcyclegan.simulate.label_heads.anatomy import draw_tissue
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import render_mr
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue

# Slice, then columns (to the right) and rows (to the front), in voxels of R, A, S order.
Box = tuple[int, slice, slice]


def _box(k: int, x: tuple[int, int], y: tuple[int, int]) -> Box:
    return k, slice(*x), slice(*y)


# Weighting, file, and the regions of one slice each. "grey" is cortex, or cerebellum in low slices.
REGIONS: list[tuple[str, str, dict[str, Box]]] = [
    ("t1", "openms/patient01/study1_T1W.nii.gz", {
        "grey": _box(24, (80, 85), (166, 175)), "fat": _box(24, (63, 65), (166, 175)),
        "skin": _box(24, (59, 60), (166, 175)), "bone": _box(24, (71, 73), (166, 175)),
        "muscle": _box(24, (68, 70), (166, 175)), "marrow": _box(24, (169, 176), (45, 48))}),
    ("t1", "openms/patient03/study2_T1W.nii.gz", {
        "grey": _box(32, (65, 70), (106, 115)), "fat": _box(32, (51, 53), (106, 115)),
        "skin": _box(32, (48, 49), (106, 115)), "bone": _box(32, (56, 57), (106, 115)),
        "marrow": _box(32, (58, 59), (106, 115))}),
    ("t1", "openms/patient04/study1_T1W.nii.gz", {
        "grey": _box(5, (80, 100), (80, 100)), "fat": _box(5, (105, 140), (43, 46)),
        "muscle": _box(5, (76, 90), (152, 166)), "marrow": _box(5, (118, 128), (136, 141))}),
    ("t1", "openms/patient04/study1_T1W.nii.gz", {
        "grey": _box(31, (56, 61), (116, 125)), "fat": _box(31, (41, 43), (116, 125)),
        "skin": _box(31, (38, 39), (116, 125)), "bone": _box(31, (46, 50), (116, 125))}),
    ("t1", "seg3d_t1.nii.gz", {
        "grey": _box(90, (24, 27), (116, 125)), "fat": _box(90, (8, 10), (116, 125)),
        "skin": _box(90, (5, 6), (116, 125)), "bone": _box(90, (14, 16), (116, 125)),
        "marrow": _box(90, (18, 21), (116, 125))}),
    ("t1", "seg3d_t1.nii.gz", {
        "grey": _box(12, (40, 60), (60, 85)), "muscle": _box(12, (38, 48), (165, 180))}),
    ("t2", "openms/patient01/study1_T2W.nii.gz", {
        "grey": _box(22, (92, 97), (236, 245)), "fat": _box(22, (70, 73), (236, 245)),
        "skin": _box(22, (64, 65), (236, 245)), "bone": _box(22, (86, 88), (236, 245)),
        "marrow": _box(22, (213, 220), (60, 63))}),
    ("t2", "openms/patient01/study1_T2W.nii.gz", {
        "grey": _box(4, (150, 180), (130, 160)), "muscle": _box(4, (122, 142), (298, 312))}),
    ("t2", "openms/patient03/study2_T2W.nii.gz", {
        "grey": _box(29, (75, 85), (176, 185)), "fat": _box(29, (57, 59), (176, 185)),
        "skin": _box(29, (53, 54), (176, 185)), "bone": _box(29, (68, 69), (176, 185))}),
    ("t2", "openms/patient03/study2_T2W.nii.gz", {
        "grey": _box(6, (110, 140), (105, 125)), "muscle": _box(6, (225, 245), (190, 215)),
        "marrow": _box(6, (160, 190), (180, 188))}),
    ("t2", "niivue_t2w.nii.gz", {
        "grey": _box(40, (56, 59), (106, 115)), "fat": _box(40, (44, 45), (106, 115)),
        "skin": _box(40, (41, 43), (106, 115)), "bone": _box(40, (50, 51), (106, 115)),
        "noise": _box(40, (2, 20), (2, 20))}),
    ("flair", "openms/patient01/study1_FLAIR.nii.gz", {
        "grey": _box(22, (82, 86), (166, 175)), "skin": _box(22, (60, 63), (166, 175)),
        "bone": _box(22, (76, 77), (166, 175)), "marrow": _box(22, (169, 176), (43, 46))}),
    ("flair", "openms/patient01/study1_FLAIR.nii.gz", {
        "grey": _box(4, (120, 140), (80, 110)), "muscle": _box(4, (110, 145), (58, 66))}),
    ("flair", "openms/patient03/study2_FLAIR.nii.gz", {
        "grey": _box(32, (76, 80), (146, 155)), "skin": _box(32, (58, 61), (146, 155)),
        "bone": _box(32, (72, 73), (146, 155))}),
    ("flair", "openms/patient03/study2_FLAIR.nii.gz", {
        "grey": _box(6, (105, 130), (85, 105)), "muscle": _box(6, (205, 220), (170, 185)),
        "marrow": _box(6, (140, 160), (150, 158))}),
    ("flair", "openms/patient09/study2_FLAIR.nii.gz", {
        "grey": _box(25, (46, 52), (176, 185)), "skin": _box(25, (21, 24), (176, 185)),
        "bone": _box(25, (41, 42), (176, 185))}),
    ("flair", "openms/patient09/study2_FLAIR.nii.gz", {
        "grey": _box(4, (90, 110), (90, 120)), "muscle": _box(4, (130, 180), (44, 52)),
        "marrow": _box(4, (148, 160), (205, 212))}),
]  # fmt: skip
KINDS = {"t1": ("se_t1", "spgr", "mprage"), "t2": ("t2",), "flair": ("flair",)}
TISSUES = {
    "grey": Tissue.GREY_MATTER, "fat": Tissue.FAT, "skin": Tissue.SKIN, "muscle": Tissue.MUSCLE,
    "bone": Tissue.CORTICAL_BONE, "marrow": Tissue.MARROW, "noise": Tissue.AIR,
}  # fmt: skip
RATIOS = (
    ("marrow", "fat"), ("marrow", "grey"), ("muscle", "grey"), ("skin", "fat"), ("skin", "grey"),
    ("bone", "grey"), ("bone", "noise"),
)  # fmt: skip
# Percentile of a tissue's voxels: boxes of bone lie in the darkest millimetre of a profile.
LEVEL = {"bone": 10.0}
# Simulated slices lie at these shares of a head's height: neck and base, base, vault.
HEIGHTS = (0.3, 0.45, 0.75)
DEPTH, PIXELS = 6, 200
# Scanners store whole numbers and cut at 0: a hundredth is not told from nothing.
SLACK = 0.01


def real_scan(path: Path) -> NDArray[np.float32]:
    """Voxels of a scan in R, A, S order, by whole axes."""
    volume = read_scan(path).volume
    axes = closest_axes(volume.geometry.directions_ras)
    order = np.argsort([world for world, _ in axes])
    flips = tuple(slice(None, None, axes[axis][1]) for axis in order)
    return np.asarray(volume.voxels.transpose(order)[flips], dtype=np.float32)


def ratios(values: dict[str, float]) -> dict[str, float]:
    """Those of ``RATIOS`` whose two tissues were measured."""
    return {
        f"{a}/{b}": values[a] / values[b]
        for a, b in RATIOS
        if a in values and b in values and values[b] > 0.0
    }


def real_rows(folder: Path) -> Iterator[dict[str, object]]:
    """A row for each slice of ``REGIONS``."""
    for weighting, name, boxes in REGIONS:
        voxels = real_scan(folder / name)
        values = {
            tissue: float(np.median(voxels[columns, rows, k]))
            for tissue, (k, columns, rows) in boxes.items()
        }
        yield {"what": "real", "weighting": weighting, "name": name, **ratios(values)}


def simulated_rows(
    head: HeadAnatomy, number: int, *, draws: int, seed: int
) -> Iterator[dict[str, object]]:
    """A row for each draw of each weighting: medians over slabs at three heights."""
    slabs = []
    for at in HEIGHTS:
        rng = np.random.default_rng((seed, number))
        grid = SlabGrid(DEPTH, PIXELS, 1.0, 3.0, 2.5, 2)
        middle = np.asarray(head.maps.shape[:3]) * (0.5, 0.5, at)
        slabs.append(draw_tissue(head, grid, rng, place=lambda *_, m=middle: m.astype(np.int64)))
    for weighting, kinds in KINDS.items():
        for draw in range(draws):
            kind = kinds[draw % len(kinds)]
            found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in TISSUES}
            for slab in slabs:
                rng = np.random.default_rng((seed, number, draw))
                contrast = contrast_in(kind, draw_sequence_of(kind, rng), rng)
                mr = render_mr(slab, signal=contrast, rng=rng)
                for name, tissue in TISSUES.items():
                    pure = slab.grid.average_sub_slices((slab.tissue == tissue).astype(np.float32))
                    found[name].append(mr[pure > 0.99])
            values = {
                name: float(np.percentile(np.concatenate(parts), LEVEL.get(name, 50.0)))
                for name, parts in found.items()
                if sum(part.size for part in parts) > 20
            }
            name = f"head {number}, {kind}, draw {draw}"
            yield {"what": "simulated", "weighting": weighting, "name": name, **ratios(values)}


def table(rows: list[dict[str, object]]) -> str:
    """Real values beside the range of the middle 95 % of the draws, in Markdown."""
    lines = ["| ratio | weighting | real | simulated, 2.5 to 97.5 % (median) | enclosed |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for weighting in KINDS:
        for a, b in RATIOS:
            key = f"{a}/{b}"
            real, drawn = (
                sorted(
                    float(str(row[key]))
                    for row in rows
                    if row["what"] == what and row["weighting"] == weighting and key in row
                )
                for what in ("real", "simulated")
            )
            if not real or not drawn:
                continue
            low, middle, high = np.percentile(drawn, (2.5, 50.0, 97.5))
            inside = low - SLACK <= real[0] and real[-1] <= high + SLACK
            enclosed = "yes" if inside else "no"
            shown = ", ".join(f"{value:.2f}" for value in real)
            lines.append(
                f"| {key} | {weighting} | {shown} | {low:.2f} to {high:.2f} ({middle:.2f}) "
                f"| {enclosed} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--mr", type=Path, required=True, help="folder of real MR")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 5, 9])
    parser.add_argument("--draws", type=int, default=30, help="draws a head and weighting")
    parser.add_argument("--prepared", type=Path, help="folder of heads prepared before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = list(real_rows(args.mr))
    for number in args.heads:
        head = read_head(args.labels, number, prepared=args.prepared)
        rows += simulated_rows(head, number, draws=args.draws, seed=args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    columns = ["what", "weighting", "name", *(f"{a}/{b}" for a, b in RATIOS)]
    with (args.out / "mr_contrasts.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
