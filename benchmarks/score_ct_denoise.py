"""Score a model that takes noise out of CT, on held-out simulated subjects.

    medcyclegan simulate ct-denoise --out DATA --subjects 4 --test-subjects 4 --seed 77
    python -m benchmarks.score_ct_denoise --data DATA --model ct-denoise

The reference is the full dose, which has noise of its own: no image without noise equals it. PSNR
and SSIM are taken inside the body by the protocol synthrad2023, of the input and of the output. The
HU bias is the mean of output minus reference in soft tissue: where the reference, averaged over
5 x 5 pixels of a slice so that its noise does not choose, lies from -20 to 80 HU. Beside it stand
the standard deviations there of input, output and reference, less that average.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.cards import put_scores
from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.metrics import score
from medcyclegan.imaging.body_mask import body_mask_ct
from medcyclegan.models.card import Score
from medcyclegan.models.store import Model

SOFT_HU = (-20.0, 80.0)
ROI_PX = 5
COLUMNS = (
    "PSNR in", "PSNR out", "gain dB", "SSIM in", "SSIM out", "bias in HU", "bias out HU",
    "SD in HU", "SD out HU", "SD full dose HU",
)  # fmt: skip


def soft_tissue(reference: Volume, body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the local mean of the reference is soft tissue, (i, j, k)."""
    mean = ndimage.uniform_filter(reference.voxels, (ROI_PX, ROI_PX, 1))
    # bone or air beside soft tissue would average to it
    spread = ndimage.maximum_filter(reference.voxels, (ROI_PX, ROI_PX, 1)) < 300.0
    spread &= ndimage.minimum_filter(reference.voxels, (ROI_PX, ROI_PX, 1)) > -300.0
    return np.asarray(body & spread & (mean > SOFT_HU[0]) & (mean < SOFT_HU[1]))


def noise_sd(image: Volume, soft: NDArray[np.bool_]) -> float:
    """Standard deviation about the local mean, HU."""
    mean = ndimage.uniform_filter(image.voxels, (ROI_PX, ROI_PX, 1))
    return float((image.voxels - mean)[soft].std())


def figures(low: Volume, out: Volume, full: Volume) -> list[float]:
    """The columns of the table for one subject."""
    body = body_mask_ct(full)
    soft = soft_tissue(full, body.voxels > 0)
    before, after = (score(image, full, body, protocol="synthrad2023") for image in (low, out))
    bias = [float((image.voxels - full.voxels)[soft].mean()) for image in (low, out)]
    sds = [noise_sd(image, soft) for image in (low, out, full)]
    gain = after.psnr_db - before.psnr_db
    assert before.ssim is not None
    assert after.ssim is not None
    return [before.psnr_db, after.psnr_db, gain, before.ssim, after.ssim, *bias, *sds]


def rows_of(data: Path, model: Model) -> Iterator[tuple[str, list[float]]]:
    """Yield (subject, figures) of the pairs in ``testA`` (low dose) and ``testB`` (full dose)."""
    for path in sorted((data / "testA").iterdir()):
        low = read_scan(path, modality="CT")
        full = read_scan(data / "testB" / path.name, modality="CT").volume
        yield path.name, figures(low.volume, synthesize(low, model).image, full)


def unit_of(column: str) -> str:
    """The unit of a column of the table; SSIM has none."""
    if column.startswith("SSIM"):
        return ""
    return "HU" if column.endswith("HU") else "dB"


def main() -> None:
    """Parse the arguments, score, print a row a subject and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="ct-denoise")
    parser.add_argument("--into", type=Path, help="model folder whose card gets the scores")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    print("| subject | " + " | ".join(COLUMNS) + " |")
    print("| --- " * (1 + len(COLUMNS)) + "|")
    found: list[list[float]] = []
    for name, row in rows_of(arguments.data, model):
        found.append(row)
        print(f"| {name} | " + " | ".join(f"{value:.4g}" for value in row) + " |", flush=True)
    means = np.mean(found, axis=0)
    print(f"| mean of {len(found)} | " + " | ".join(f"{value:.4g}" for value in means) + " |")
    if arguments.into:
        on = f"simulated low dose, {len(found)} subjects, not trained on"
        scores = zip(COLUMNS, means, strict=True)
        put_scores(
            arguments.into,
            (Score(measure=m, value=round(float(v), 3), unit=unit_of(m), on=on) for m, v in scores),
        )


if __name__ == "__main__":
    main()
