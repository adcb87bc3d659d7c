"""Register simulated pairs that were moved by known transforms, and pairs that must be refused.

    python -m benchmarks.align_simulated --subjects 1 20 --out DIR
    python -m benchmarks.align_simulated --subjects 1 0 --labels LABELMAPS --heads 2 5 --out DIR
    python -m benchmarks.align_simulated --picture align.png --labels LABELMAPS --heads 2

Of each subject the MR (T1, T2, FLAIR and PD in turn; slices of 2.4 and 4 mm) and the CT (slices of
2.4 and 3 mm) are simulated on grids of their own, oblique to each other, and the CT is turned by up
to 15 degrees about each axis and shifted by up to 40 mm. ``right`` pairs are of one subject,
``other`` pairs have the CT of the one before, ``mirrored`` ones a CT whose rows are reversed in the
file. Writes ``align.csv`` and prints how many of each kind are aligned and refused, and the error:
the mean distance over points of the body from where the known transform puts them.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.heads import read_head
from medcyclegan.core.geometry import FloatArray, Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.pictures import alignment_png
from medcyclegan.evaluation.study.load import onto_grid
from medcyclegan.imaging.body_mask import body_mask_mr
from medcyclegan.imaging.registration_fit import broken_limits
from medcyclegan.simulate.head_pairs import rotation
from medcyclegan.simulate.label_heads.heads import LabelHeads, LabelSlices
from medcyclegan.simulate.phantom.head import make_phantom
from medcyclegan.workflow.align import align_volumes

CONTRASTS = ("t1", "t2", "flair", "pd")
MR_MM, CT_MM = (200.0, 250.0, 250.0), (230.0, 270.0, 260.0)
NOISE_HU = 12.0
LIMIT_MM = 1.0
PICTURE_PX, COLOURS = 1400, 256


@dataclass(frozen=True, eq=False)
class Moved:
    """An MR, a CT, and the transform (4, 4) from the MR's points to the CT's, RAS in mm."""

    name: str
    mr: Volume
    ct: Volume
    truth_ras: FloatArray


def moved_phantom(subject: int) -> Moved:
    """Simulate a phantom's MR and CT on grids of their own; no voxel is interpolated."""
    rng = np.random.default_rng((2026, subject))
    contrast = CONTRASTS[subject % len(CONTRASTS)]
    mr_grid = _grid(MR_MM, (2.4, 2.4, 4.0 if subject % 2 else 2.4), rng)
    ct_grid = _grid(CT_MM, (2.3, 2.3, 3.0 if subject % 3 else 2.4), rng)
    truth = _truth(rng)
    mr = make_phantom(mr_grid, contrast=contrast, seed=subject).mr
    ct = make_phantom(ct_grid, contrast=contrast, seed=subject).ct
    return Moved(f"phantom {subject} {contrast}", mr, _placed(ct, truth), truth)


def moved_label_head(labels: Path, number: int, *, prepared: Path | None) -> Moved:
    """Simulate a head of a label map at 1 mm; its CT is interpolated onto a grid of its own."""
    rng = np.random.default_rng((2027, number))
    contrast = CONTRASTS[number % 3]
    head = read_head(labels, number, prepared=prepared)
    pair = LabelHeads((head,), LabelSlices(1.0, 1.0, 1.0), contrast).pair(100 + number, 1)
    truth = _truth(rng)
    ct, _ = onto_grid(pair.b, _grid(CT_MM, (1.0, 1.0, 2.0), rng), fill=-1000.0)
    noisy = ct.voxels + rng.normal(0.0, NOISE_HU, ct.geometry.shape).astype(np.float32)
    thick = _thicker(pair.a, 4 if number % 2 else 1)
    return Moved(f"head {number} {contrast}", thick, _placed(ct.with_voxels(noisy), truth), truth)


def _grid(
    extent_mm: tuple[float, ...], spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> Geometry:
    i, j, k = (round(length / mm) for length, mm in zip(extent_mm, spacing_mm, strict=True))
    turned = rotation(rng.uniform(-5.0, 5.0, 3)) @ np.diag([-1.0, -1.0, 1.0])
    return geometry_from_spacing((i, j, k), spacing_mm, turned)


def _truth(rng: np.random.Generator) -> FloatArray:
    truth = np.eye(4)
    truth[:3, :3] = rotation(rng.uniform(-15.0, 15.0, 3))
    truth[:3, 3] = rng.uniform(-40.0, 40.0, 3)
    return truth


def _placed(ct: Volume, truth: FloatArray) -> Volume:
    return replace(ct, geometry=Geometry(ct.geometry.shape, truth @ ct.geometry.affine_ras))


def _thicker(mr: Volume, times: int) -> Volume:
    """Average slices, as thick ones do."""
    affine = mr.geometry.affine_ras.copy()
    affine[:3, 3] += affine[:3, 2] * (times - 1) / 2.0
    affine[:3, 2] *= times
    i, j, k = mr.geometry.shape
    means = mr.voxels[:, :, : k // times * times].reshape(i, j, k // times, times).mean(axis=3)
    return Volume(means, Geometry((i, j, k // times), affine), mr.unit)


def error_mm(truth_ras: FloatArray, found_ras: FloatArray, body: Volume) -> float:
    """Mean distance, over points of the body, of where two transforms put them."""
    points = body.geometry.to_world(np.argwhere(body.voxels > 0)[::97].astype(np.float64))
    apart = (truth_ras - found_ras) @ np.c_[points, np.ones(len(points))].T
    return float(np.linalg.norm(apart[:3], axis=0).mean())


def row_of(kind: str, pair: Moved, ct: Volume) -> dict[str, object]:
    """Register one pair; what it measured, and whether it is refused."""
    begun = time.process_time()
    alignment, _ = align_volumes(pair.mr, ct)
    seconds = time.process_time() - begun
    broken = broken_limits(alignment.fit)
    error = error_mm(pair.truth_ras, alignment.matrix_ras, body_mask_mr(pair.mr))
    row: dict[str, object] = {"kind": kind, "pair": pair.name, "error_mm": round(error, 3)}
    row |= {name: round(value, 4) for name, value in alignment.figures().items()}
    return row | {"cpu_s": round(seconds, 1), "refused": "; ".join(broken)}


def rows_of(pairs: Iterable[Moved], *, wrong: int) -> Iterator[dict[str, object]]:
    """Yield a row for each right pair, and for wrong ones of so many subjects from the second."""
    before: Moved | None = None
    for number, pair in enumerate(pairs):
        yield row_of("right", pair, pair.ct)
        if before is not None and number <= wrong:
            yield row_of("other", pair, before.ct)
            yield row_of("mirrored", pair, pair.ct.with_voxels(pair.ct.voxels[::-1].copy()))
        before = pair


def summary(rows: list[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a line for each kind."""
    yield "| pairs | n | refused | error median (mm) | error most (mm) | below 1 mm |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in dict.fromkeys(str(row["kind"]) for row in rows):
        same = [row for row in rows if row["kind"] == kind]
        errors = np.array([float(str(row["error_mm"])) for row in same])
        refused = sum(bool(row["refused"]) for row in same)
        shown = f"{np.median(errors):.2f} | {errors.max():.2f} | {(errors < LIMIT_MM).sum()}"
        if kind != "right":
            shown = "- | - | -"
        yield f"| {kind} | {len(same)} | {refused} | {shown} |"


def draw(pair: Moved, to: Path) -> None:
    """Write the picture of one right pair, before and after, in few colours."""
    alignment, before = align_volumes(pair.mr, pair.ct)
    with Image.open(BytesIO(alignment_png(pair.mr, before, alignment.image))) as picture:
        small = picture.convert("RGB").resize(
            (PICTURE_PX, PICTURE_PX * picture.height // picture.width)
        )
    small.quantize(COLOURS).save(to, optimize=True)


def main() -> None:
    """Parse the arguments, simulate, register, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--subjects", type=int, nargs=2, default=(1, 20), metavar=("FIRST", "LAST"), help="phantoms"
    )
    parser.add_argument("--wrong", type=int, default=10, help="subjects with wrong pairs, too")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--heads", type=int, nargs="*", default=[], help="counted from 1")
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--out", type=Path)
    wanted.add_argument("--picture", type=Path, help="draw the first of --heads, and end")
    arguments = parser.parse_args()
    if arguments.picture is not None:
        first = arguments.heads[0]
        pair = moved_label_head(arguments.labels, first, prepared=arguments.prepared)
        draw(pair, arguments.picture)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    first, last = arguments.subjects
    phantoms = (moved_phantom(number) for number in range(first, last + 1))
    heads = (
        moved_label_head(arguments.labels, number, prepared=arguments.prepared)
        for number in arguments.heads
    )
    rows = []
    for row in rows_of(chain(phantoms, heads), wrong=arguments.wrong):
        rows.append(row)
        print(row, flush=True)
    with (arguments.out / "align.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(summary(rows)))


if __name__ == "__main__":
    main()
