"""How far the synthetic CTs of one patient's T1, T2 and FLAIR lie apart.

    python -m benchmarks.check_contrasts PATIENT [PATIENT ...]

PATIENT is a folder that holds, for each study, ``studyN_T1W.nii.gz``, ``studyN_T2W.nii.gz``,
``studyN_FLAIR.nii.gz`` and the transforms ``studyN_T1W_intrastudy_to_FLAIR.txt`` and
``..._T2W_...`` (ITK). All three synthetic CTs are brought onto the FLAIR's grid; the mean absolute
difference inside the head (where all three body masks agree) is given in HU, and the bone Dice at
250 HU of each pair, and how much bone the first has for one voxel of the second.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.imaging.itk_images import itk_image
from medcyclegan.models.store import Model

BONE_HU = 250.0


def study(folder: Path, name: str, model: Model) -> dict[str, NDArray[np.float32]]:
    """Return the synthetic CTs, (k, j, i) on the FLAIR's grid; NaN outside any body mask."""
    found: dict[str, NDArray[np.float32]] = {}
    target: sitk.Image | None = None
    for contrast in ("FLAIR", "T1W", "T2W"):
        scan = folder / f"{name}_{contrast}.nii.gz"
        if not scan.exists():
            continue
        result = synthesize(read_scan(scan, modality="MR"), model)
        sct, body = itk_image(result.image), itk_image(result.body)
        if target is None:
            target, transform = sct, sitk.Transform(3, sitk.sitkIdentity)
        else:
            file = folder / f"{name}_{contrast}_intrastudy_to_FLAIR.txt"
            transform = sitk.ReadTransform(str(file))
        moved = sitk.Resample(sct, target, transform, sitk.sitkLinear, -1000.0)
        inside = sitk.Resample(body, target, transform, sitk.sitkNearestNeighbor, 0.0)
        hu = sitk.GetArrayFromImage(moved)
        found[contrast] = np.where(sitk.GetArrayFromImage(inside) > 0, hu, np.nan)
    return found


def main() -> None:
    """Parse the arguments, convert, print a row for each pair of contrasts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patients", type=Path, nargs="+")
    parser.add_argument("--model", default="head-mr-ct")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    print("| study | pair | mean absolute difference HU | bone Dice | bone, first over second |")
    print("| --- | --- | --- | --- | --- |")
    differences: list[float] = []
    for folder in arguments.patients:
        for name in sorted({path.name.split("_")[0] for path in folder.glob("*_FLAIR.nii.gz")}):
            images = study(folder, name, model)
            head = ~np.isnan(np.stack(list(images.values()))).any(axis=0)
            for first, second in combinations(images, 2):
                a, b = images[first][head], images[second][head]
                differences.append(float(np.abs(a - b).mean()))
                both = int(((a > BONE_HU) & (b > BONE_HU)).sum())
                bones = [int((values > BONE_HU).sum()) for values in (a, b)]
                dice = 2.0 * both / max(1, sum(bones))
                row = f"| {folder.name} {name} | {first} {second} | {differences[-1]:.1f} |"
                print(f"{row} {dice:.2f} | {bones[0] / max(1, bones[1]):.2f} |", flush=True)
    print(f"| all | mean | {np.mean(differences):.1f} | | |")


if __name__ == "__main__":
    main()
