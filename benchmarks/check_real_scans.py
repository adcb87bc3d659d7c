"""Convert scans and tabulate what a believable synthetic CT must show.

    python -m benchmarks.check_real_scans --out DIR SCAN [SCAN ...]

For each scan: is the grid the scan's bit for bit, all finite, the air around the head (median, HU),
deep inside the head (median, HU: brain), how much of the body is bone (above 300 HU), the 99th
percentile of bone (above 250 HU), holes of the vault and streaks along the slabs. A picture of each
goes to DIR. There is no truth to score against: look at the pictures.

*Holes*: of the rays from the middle of the head to all sides of its upper part, the share that
leave it without meeting bone. Rays that leave the image first do not count.

*Streaks*: roughness of the synthetic CT along the slabs' axis over that in the plane, divided by
the same ratio of the MR. Roughness is the root mean square of second differences over a millimetre
or more in soft tissue. Above 1 the CT changes more from slice to slice than the MR lets expect.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.core.geometry import closest_axes
from medcyclegan.core.volume import Volume
from medcyclegan.errors import MedcycleganError
from medcyclegan.evaluation.pictures import draw_panel, panel_png
from medcyclegan.imaging.resampling import slice_axis
from medcyclegan.models.store import Model
from medcyclegan.workflow.synthesize import Synthesis

BRAIN_DEPTH_MM = 30.0
AIR_DISTANCE_MM = 5.0
BONE_HU = 250.0
# The middle of the brain below the top of the head, and the lowest rays above the level: those
# lie in the braincase in front too.
CENTRE_BELOW_MM, LOWEST_RAY_DEG = 70.0, 25.0
RAYS, RAY_STEP_MM, LONGEST_RAY_MM = 4000, 0.5, 160.0
# Soft tissue, where streaks are looked for: HU, and depth below the surface of the body.
SOFT_HU, SOFT_DEPTH_MM = (-150.0, 150.0), 6.0
STEP_MM = 1.0


def facts(path: Path, model: Model, out: Path) -> str:
    """Convert one scan, save its picture, return a row of the table."""
    try:
        scan = read_scan(path, modality="MR")
        result = synthesize(scan, model)
    except MedcycleganError as error:
        return f"| {path.name} | refused: {error} |"
    picture = out / f"{path.parent.name}_{path.name.split('.')[0]}.png"
    picture.write_bytes(panel_png(draw_panel(mr=scan.volume, sct=result.image)))
    same = result.image.geometry.same_grid(scan.volume.geometry)
    normal = slice_axis(scan.volume.geometry, model.task)
    return (
        f"| {path.parent.name}/{path.name} | {same} | {_figures(result)} | "
        f"{holes(result.image, result.body):.1%} | "
        f"{streaks(scan.volume, result.image, result.body, normal=normal):.2f} | "
        f"{sum(result.seconds.values()):.1f} |"
    )


def _figures(result: Synthesis) -> str:
    hu, spacing = result.image.voxels, result.image.geometry.spacing_mm
    body = result.body.voxels > 0
    depth = _depth_mm(result.body)
    away = ndimage.distance_transform_edt(~body, sampling=spacing)
    deep = depth > min(BRAIN_DEPTH_MM, 0.7 * depth.max())
    air = away > AIR_DISTANCE_MM
    around = f"{np.median(hu[air]):.0f}" if air.any() else "none in view"
    values = hu[body]
    return (
        f"{np.isfinite(hu).all()} | {around} | {np.median(hu[deep]):.0f} | "
        f"{(values > 300).mean():.1%} | {np.percentile(values[values > BONE_HU], 99):.0f}"
    )


def _depth_mm(body: Volume) -> NDArray[np.float64]:
    """Millimetres below the surface of a body mask, (i, j, k); the image's border is one too."""
    inside = np.pad(body.voxels > 0, 1)
    depth = ndimage.distance_transform_edt(inside, sampling=body.geometry.spacing_mm)
    return np.asarray(depth[1:-1, 1:-1, 1:-1])


def holes(ct: Volume, body: Volume) -> float:
    """The share of rays that leave the upper head without meeting bone; NaN if none is in view."""
    inside = body.voxels > 0
    to_index = np.linalg.inv(ct.geometry.affine_ras)
    places = ct.geometry.to_world(np.argwhere(inside).astype(float))
    top = places[:, 2].max()
    level = np.abs(places[:, 2] - (top - CENTRE_BELOW_MM)) < 10.0
    centre = places[level].mean(axis=0)
    along = np.arange(RAY_STEP_MM, LONGEST_RAY_MM, RAY_STEP_MM)
    points = centre + _upward_rays(RAYS)[:, None, :] * along[None, :, None]
    index = np.moveaxis(points @ to_index[:3, :3].T + to_index[:3, 3], -1, 0)
    look = {"order": 1, "cval": np.nan}
    hu = ndimage.map_coordinates(ct.voxels, index, **look)
    in_head = ndimage.map_coordinates(inside.astype(np.float32), index, **look)
    leaves = (in_head < 0.5).any(axis=1)  # comparisons with NaN, outside of the image, are false
    closed = (hu > BONE_HU).any(axis=1)
    return float((~closed[leaves]).mean()) if leaves.any() else float("nan")


def _upward_rays(count: int) -> NDArray[np.float64]:
    """Unit vectors (count, 3) evenly over the upper part of a sphere, by the golden angle."""
    lowest = np.sin(np.deg2rad(LOWEST_RAY_DEG))
    height = lowest + (1.0 - lowest) * (np.arange(count) + 0.5) / count
    turn = np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    across = np.sqrt(1.0 - height**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=-1)


def streaks(mr: Volume, ct: Volume, body: Volume, *, normal: int) -> float:
    """Roughness along the slabs' axis ``normal`` (0 R, 1 A, 2 S) over that in the plane, of the
    synthetic CT over the MR's; 1 where it is what the MR predicts."""
    hu = ct.voxels
    soft = (hu > SOFT_HU[0]) & (hu < SOFT_HU[1]) & (_depth_mm(body) > SOFT_DEPTH_MM)
    axes = [world for world, _ in closest_axes(mr.geometry.directions_ras)]
    across = axes.index(normal)
    ratios = []
    for image in (hu, mr.voxels):
        rough = [_roughness(image, soft, axis, mr.geometry.spacing_mm[axis]) for axis in range(3)]
        ratios.append(rough[across] / np.mean(np.delete(rough, across)))
    return float(ratios[0] / ratios[1])


def _roughness(
    image: NDArray[np.float32], where: NDArray[np.bool_], axis: int, spacing_mm: float
) -> float:
    """Root mean square of second differences along an axis, where all three samples lie inside."""
    step = max(1, round(STEP_MM / spacing_mm))
    values, inside = np.moveaxis(image, axis, 0), np.moveaxis(where, axis, 0)
    low, middle, high = slice(0, -2 * step), slice(step, -step), slice(2 * step, None)
    second = values[low] - 2.0 * values[middle] + values[high]
    all_inside = inside[low] & inside[middle] & inside[high]
    return float(np.sqrt(np.mean(second[all_inside] ** 2)))


def main() -> None:
    """Parse the arguments, convert, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = load_model(arguments.model)
    columns = "same grid | finite | air HU | deep HU | > 300 HU | 99 % HU | holes | streaks | s"
    print(f"| scan | {columns} |")
    print("| --- " * 10 + "|")
    for path in arguments.scans:
        print(facts(path, model, arguments.out), flush=True)


if __name__ == "__main__":
    main()
