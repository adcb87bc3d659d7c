"""Convert scans and tabulate what a believable synthetic CT must show.

    python -m benchmarks.check_real_scans --out DIR SCAN [SCAN ...]

For each scan: is the grid the scan's bit for bit, all finite, the air around the head (median, HU),
deep inside the head (median, HU: brain), how much of the body is bone (above 300 HU) and the 99th
percentile. A picture of each goes to DIR. There is no truth to score against: look at the pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.errors import MedcycleganError
from medcyclegan.evaluation.pictures import panel_png
from medcyclegan.models.store import Model
from medcyclegan.workflow.synthesize import Synthesis

BRAIN_DEPTH_MM = 30.0
AIR_DISTANCE_MM = 5.0


def facts(path: Path, model: Model, out: Path) -> str:
    """Convert one scan, save its picture, return a row of the table."""
    try:
        scan = read_scan(path, modality="MR")
        result = synthesize(scan, model)
    except MedcycleganError as error:
        return f"| {path.name} | refused: {error} |"
    picture = out / f"{path.parent.name}_{path.name.split('.')[0]}.png"
    picture.write_bytes(panel_png(mr=scan.volume, sct=result.image))
    same = result.image.geometry.same_grid(scan.volume.geometry)
    return f"| {path.parent.name}/{path.name} | {same} | {_figures(result)} |"


def _figures(result: Synthesis) -> str:
    hu, spacing = result.image.voxels, result.image.geometry.spacing_mm
    body = result.body.voxels > 0
    depth = ndimage.distance_transform_edt(np.pad(body, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    away = ndimage.distance_transform_edt(~body, sampling=spacing)
    deep = depth > min(BRAIN_DEPTH_MM, 0.7 * depth.max())
    air = away > AIR_DISTANCE_MM
    around = f"{np.median(hu[air]):.0f}" if air.any() else "none in view"
    values = hu[body]
    return (
        f"{np.isfinite(hu).all()} | {around} | {np.median(hu[deep]):.0f} | "
        f"{(values > 300).mean():.1%} | {np.percentile(values, 99):.0f} | "
        f"{sum(result.seconds.values()):.1f}"
    )


def main() -> None:
    """Parse the arguments, convert, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = load_model(arguments.model)
    print("| scan | same grid | finite | air HU | deep HU | > 300 HU | 99 % HU | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for path in arguments.scans:
        print(facts(path, model, arguments.out), flush=True)


if __name__ == "__main__":
    main()
