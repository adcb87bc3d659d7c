"""Measure simulated heads as real CTs were measured: density of bone, and how much bone and air.

    python -m benchmarks.simulated_against_real --labels LABELMAPS --heads 1 3 7 15 --out DIR

Writes ``simulated_ct.csv``, a line a head and draw, and prints a table in Markdown: the range of
the simulated heads beside that of the real CTs, and percentiles over ``--slabs`` slabs of the vault
of each head, which take a second each. ``--ct SERIES`` measures a real CT in the same way.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.heads import read_head
from medcyclegan import read_scan
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.body_mask import body_mask_ct
from medcyclegan.simulate.label_heads.anatomy import draw_tissue
from medcyclegan.simulate.label_heads.heads import LabelSlices, draw_upright, geometry_of
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import render_ct
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue

BONE_HU, AIR_HU = 250.0, -400.0
# The vault is what lies within this of the top of the head.
VAULT_MM = 70.0
# The middle of slabs of the vault lies so far below the top of the map.
VAULT_BELOW_MM = 45.0
# Half the thickness of bone of 7 to 12 mm, whose middle is diploe.
HALF_THICK_MM = (3.5, 6.0)
# Four real CTs of heads, soft and sharp kernels: range of the figures.
REAL = {
    "bone_p99_hu": (1432.0, 1836.0),
    "vault_median_hu": (776.0, 1256.0),
    "diploe_hu": (520.0, 1130.0),
}


@dataclass(frozen=True)
class Figures:
    """What is measured in one CT. Shares are of the body; the diploe's are its quartiles."""

    bone_p99_hu: float
    vault_median_hu: float
    diploe_low_hu: float
    diploe_high_hu: float
    bone_share: float
    air_share: float


def measure(ct: Volume) -> Figures:
    """Measure a CT of a head in HU, its third axis from neck to vertex."""
    hu, spacing_mm = ct.voxels, ct.geometry.spacing_mm
    body = body_mask_ct(ct).voxels > 0
    bone = (hu > BONE_HU) & body
    rows = np.flatnonzero(body.any(axis=(0, 1)))
    vault = bone.copy()
    vault[:, :, : max(0, rows[-1] - round(VAULT_MM / spacing_mm[2]))] = False
    solid = ndimage.binary_closing(vault, iterations=2)
    depth = ndimage.distance_transform_edt(solid, sampling=spacing_mm)
    middle = depth >= ndimage.maximum_filter(depth, 3) - 1e-3
    low, high = HALF_THICK_MM
    diploe = hu[middle & (depth >= low) & (depth <= high)]
    quartiles = np.percentile(diploe, (25.0, 75.0)) if diploe.size else (np.nan, np.nan)
    return Figures(
        bone_p99_hu=float(np.percentile(hu[bone], 99.0)),
        vault_median_hu=float(np.median(hu[vault])),
        diploe_low_hu=float(quartiles[0]),
        diploe_high_hu=float(quartiles[1]),
        bone_share=float(bone.sum() / body.sum()),
        air_share=float(((hu < AIR_HU) & body).sum() / body.sum()),
    )


def simulate(head: HeadAnatomy, *, seed: int) -> Volume:
    """Draw a head as a CT of 1 mm."""
    rng = np.random.default_rng(seed)
    grid = LabelSlices(1.0, 1.0, 1.0).grid_around(head, rng)
    slab = draw_upright(head, grid, rng)
    voxels = np.ascontiguousarray(render_ct(slab, rng).transpose(1, 2, 0)[::-1, ::-1])
    return Volume(voxels, geometry_of(grid), "HU")


def vault_figures(head: HeadAnatomy, *, seed: int) -> tuple[float, float, float, float]:
    """Of eight slices of the vault: 99th percentile and median of bone, quartiles of marrow, HU."""
    rng = np.random.default_rng(seed)
    centre = np.asarray(head.maps.shape[:3]) // 2
    centre[2] = head.maps.shape[2] - round(VAULT_BELOW_MM / head.spacing_mm[2])
    slab = draw_tissue(head, SlabGrid(8, 230, 1.0, 1.0, 1.0, 2), rng, place=lambda *_: centre)
    hu = render_ct(slab, rng)
    bone, marrow = hu[hu > BONE_HU], hu[slab.tissue == Tissue.MARROW]
    low, high = np.percentile(marrow, (25.0, 75.0)) if marrow.size else (np.nan, np.nan)
    return float(np.percentile(bone, 99.0)), float(np.median(bone)), float(low), float(high)


def print_vault(found: list[tuple[float, float, float, float]]) -> None:
    """Print percentiles of the draws in Markdown."""
    shown = (0.0, 10.0, 50.0, 90.0, 100.0)
    print(f"| {len(found)} slabs of the vault | " + " | ".join(f"{p:.0f} %" for p in shown) + " |")
    print("| --- " * (len(shown) + 1) + "|")
    names = ("bone_p99_hu", "vault_median_hu", "diploe_low_hu", "diploe_high_hu")
    for name, values in zip(names, np.transpose(found), strict=True):
        row = np.nanpercentile(values, shown)
        print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in row) + " |")


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 3, 7, 15])
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--slabs", type=int, default=10)
    parser.add_argument("--ct", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    vault: list[tuple[float, float, float, float]] = []
    found = [(path.name, 0, measure(read_scan(path).volume)) for path in given.ct]
    for number in given.heads:
        head = read_head(given.labels, number, prepared=given.prepared)
        vault += [vault_figures(head, seed=1000 * number + draw) for draw in range(given.slabs)]
        for draw in range(given.draws):
            seed = 1000 * number + draw
            found.append((f"head {number}", draw, measure(simulate(head, seed=seed))))
            print(*found[-1], flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "simulated_ct.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "draw", *(field.name for field in fields(Figures))])
        writer.writerows([name, draw, *asdict(figures).values()] for name, draw, figures in found)
    print_vault(vault)
    if whole := [figures for name, _, figures in found if name.startswith("head ")]:
        print_table(whole)


def print_table(simulated: list[Figures]) -> None:
    """Print the ranges in Markdown."""
    print("| | simulated | four real CTs |\n| --- | --- | --- |")
    for name, part in (
        ("bone_p99_hu", ("bone_p99_hu",)),
        ("vault_median_hu", ("vault_median_hu",)),
        ("diploe_hu", ("diploe_low_hu", "diploe_high_hu")),
        ("bone_share", ("bone_share",)),
        ("air_share", ("air_share",)),
    ):
        values = [getattr(figures, field) for figures in simulated for field in part]
        real = REAL.get(name)
        known = "" if real is None else f"{real[0]:.0f} to {real[1]:.0f}"
        digits = 3 if name.endswith("share") else 0
        low, high = np.nanmin(values), np.nanmax(values)
        print(f"| {name} | {low:.{digits}f} to {high:.{digits}f} | {known} |")


if __name__ == "__main__":
    main()
