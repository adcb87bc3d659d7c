"""Score models from T1 to T2 and from T2 to T1, on simulated heads and on real registered pairs.

    python -m benchmarks.score_t1_t2 --labels LABELMAPS --heads 13 14 15 16 --openms FOLDER \\
        --t1-t2 head-t1-t2 --t2-t1 head-t2-t1

Any model folders can be scored, those of a CycleGAN by configs/t1_t2.yaml too. OPENMS is a folder
of patients, each with ``studyN_T1W.nii.gz``, ``studyN_T2W.nii.gz`` and the ITK transforms
``studyN_T1W_intrastudy_to_FLAIR.txt`` and ``..._T2W_...``; the true image is resampled once onto
the grid of the source.

Baseline: the source with its histogram matched to the wanted contrast of another person
(scikit-image), which keeps the source's order of bright and dark. All images, true, made and
baseline, are scaled alike before they are compared: 0 to 1 from the 0.5th to the 99.5th of their
own percentiles inside the head of the true image, clipped. So no unit counts, and
contrast does. PSNR and SSIM (7 x 7 x 7, uniform) are taken inside that head.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from skimage.exposure import match_histograms

from benchmarks.cards import put_scores
from benchmarks.heads import read_head
from benchmarks.score_head_mr_ct import simulate
from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.similarity import ssim
from medcyclegan.imaging.body_mask import body_mask_mr
from medcyclegan.imaging.itk_images import itk_image
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.card import Score
from medcyclegan.models.store import Model

PERCENTILES = (0.5, 99.5)
T1, T2 = "t1", "t2"
Pair = dict[str, Volume]


@dataclass(frozen=True, eq=False)
class Case:
    """One person: ``images`` on their own grids; ``on[a]`` is the other contrast on a's grid."""

    name: str
    images: Pair
    on: Pair


def simulated_cases(heads: list[int], arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield heads from label maps; both contrasts have their own noise and shading."""
    for number in heads:
        head = read_head(arguments.labels, number, prepared=arguments.prepared)
        made = simulate(head, slice_mm=arguments.slice_mm, seed=1000 + number)
        found = {name: mr for name, mr, _ in made if name in (T1, T2)}
        yield Case(f"head {number}", found, {T1: found[T2], T2: found[T1]})


def real_cases(folder: Path) -> Iterator[Case]:
    """Yield every study that has both contrasts, of one study after the other's patient."""
    for path in sorted(folder.glob("*/study*_T1W.nii.gz")):
        study = path.name.split("_")[0]
        files = {name: path.with_name(f"{study}_{name.upper()}W.nii.gz") for name in (T1, T2)}
        if files[T2].exists():
            images = {name: read_scan(file, modality="MR").volume for name, file in files.items()}
            to_flair = {
                name: sitk.ReadTransform(
                    str(path.with_name(f"{study}_{name.upper()}W_intrastudy_to_FLAIR.txt"))
                )
                for name in (T1, T2)
            }
            on = {a: resampled(images, to_flair, of=b, onto=a) for a, b in ((T1, T2), (T2, T1))}
            yield Case(f"{path.parent.name} {study}", images, on)


def resampled(images: Pair, to_flair: dict[str, sitk.Transform], *, of: str, onto: str) -> Volume:
    """Return image ``of`` on the grid of ``onto``; transforms are from FLAIR's points."""
    way = sitk.CompositeTransform(3)
    way.AddTransform(to_flair[of])  # the last one added is the first one applied
    way.AddTransform(to_flair[onto].GetInverse())
    moved = sitk.Resample(itk_image(images[of]), itk_image(images[onto]), way, sitk.sitkLinear, 0.0)
    voxels = sitk.GetArrayFromImage(moved).transpose(2, 1, 0)
    return images[onto].with_voxels(np.ascontiguousarray(voxels, dtype=np.float32))


def scaled(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Percentiles inside to 0 and 1, clipped, and 0 outside; (i, j, k)."""
    low, high = np.percentile(values[inside], PERCENTILES)
    unit = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return np.where(inside, unit, 0.0).astype(np.float32)


def figures(made: Volume, true: Volume, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """PSNR in dB and SSIM inside the head of the true image."""
    a, b = scaled(made.voxels, inside), scaled(true.voxels, inside)
    square = float(np.mean((a[inside].astype(np.float64) - b[inside]) ** 2))
    psnr = -10.0 * float(np.log10(square)) if square else float("inf")
    return psnr, ssim(a, b, inside, data_range=1.0)


def matched(source: Volume, body: Volume, style: Volume) -> Volume:
    """The source with the histogram of another person's MR; both inside the head.

    ``body`` is the mask of the source, which may be of another modality.
    """
    inside, there = body.voxels > 0, body_mask_mr(style).voxels > 0
    voxels = np.zeros_like(source.voxels)
    voxels[inside] = match_histograms(source.voxels[inside], style.voxels[there])
    return source.with_voxels(voxels)


def rows_of(cases: list[Case], source: str, model: Model | None) -> Iterator[tuple[str, ...]]:
    """Yield (case, method, PSNR, SSIM) for a direction; a case's style is the next one's."""
    target = T2 if source == T1 else T1
    for case, other in pairwise([*cases, cases[0]]):
        image, true = case.images[source], case.on[source]
        body = body_mask_mr(image)
        inside = (body_mask_mr(true).voxels > 0) & (body.voxels > 0)
        made = {"histogram matching": matched(image, body, other.images[target])}
        if model is not None:
            scan = Scan(image, ItkSourceHeader(), Path(case.name), "MR")
            made["model"] = synthesize(scan, model).image
        for method, found in made.items():
            psnr, similarity = figures(found, true, inside)
            yield case.name, method, f"{psnr:.2f}", f"{similarity:.3f}"


def scores_of(
    means: dict[tuple[str, str, str], list[tuple[float, float]]], wanted: str
) -> Iterator[Score]:
    """Yield the model's means of a direction as they stand on a card."""
    for (name, way, method), found in means.items():
        if way == wanted and method == "model":
            psnr, similarity = np.mean(found, axis=0)
            on = f"{name}, {way}, mean of {len(found)}, not trained on"
            yield Score(measure="psnr_db", value=round(float(psnr), 2), unit="dB", on=on)
            yield Score(measure="ssim", value=round(float(similarity), 3), unit="", on=on)


def another_person_next(cases: list[Case]) -> list[Case]:
    """Order cases so that the next one is of another person: first studies before second ones."""
    return sorted(cases, key=lambda case: tuple(reversed(case.name.split())))


def main() -> None:
    """Parse the arguments, score, print a row a case and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, help="folder of label maps")
    parser.add_argument("--heads", type=int, nargs="+", default=[13, 14, 15, 16])
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    parser.add_argument("--slice-mm", type=float, default=3.0, help="of the simulated heads")
    parser.add_argument("--openms", type=Path)
    parser.add_argument("--t1-t2", metavar="MODEL")
    parser.add_argument("--t2-t1", metavar="MODEL")
    parser.add_argument("--onto-cards", action="store_true", help="put the means on the cards of "
                        "the two model folders")  # fmt: skip
    arguments = parser.parse_args()
    names = {T1: arguments.t1_t2, T2: arguments.t2_t1}
    models = {source: load_model(name) if name else None for source, name in names.items()}
    sets: dict[str, list[Case]] = {}
    if arguments.labels:
        sets["simulated"] = list(simulated_cases(arguments.heads, arguments))
    if arguments.openms:
        sets["openms"] = another_person_next(list(real_cases(arguments.openms)))
    print("| data | direction | case | method | PSNR dB | SSIM |")
    print("| --- | --- | --- | --- | --- | --- |")
    means: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for name, cases in sets.items():
        for source, model in models.items():
            way = "T1 to T2" if source == T1 else "T2 to T1"
            for case, method, psnr, similarity in rows_of(cases, source, model):
                print(f"| {name} | {way} | {case} | {method} | {psnr} | {similarity} |", flush=True)
                means[name, way, method].append((float(psnr), float(similarity)))
    for (name, way, method), found in means.items():
        psnr, similarity = np.mean(found, axis=0)
        mean = f"mean of {len(found)} | {method} | {psnr:.2f} | {similarity:.3f}"
        print(f"| {name} | {way} | {mean} |")
    if arguments.onto_cards:
        for source, folder in names.items():
            if folder:
                put_scores(
                    Path(folder), scores_of(means, "T1 to T2" if source == T1 else "T2 to T1")
                )


if __name__ == "__main__":
    main()
