"""Scores of translated images that have no HU: pictures, and MR.

Values are shares of the range that is shown: 0 is black, 1 is white. The baseline is the input with
its histogram matched to that of the training images of the target, which needs no network.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.exposure import match_histograms

from medcyclegan import read_scan
from medcyclegan.core.task import Domain, Percentiles
from medcyclegan.evaluation.similarity import plane_ssim, psnr_db
from medcyclegan.imaging.preprocessing import fit_window
from medcyclegan.io.scan import RasterSourceHeader
from medcyclegan.quality.input_checks import find_body
from medcyclegan.training.data.config import OUTPUT_WINDOW

MR = Domain(modality="MR", unit="a.u.", scaling=Percentiles(lower=0.5, upper=99.5))
# Images whose histograms are pooled: more change nothing that could be seen.
STYLE_IMAGES = 8


@dataclass(frozen=True, eq=False)
class Shown:
    """``values`` (D, H, W) in [0, 1], and where the body is: everywhere in a picture."""

    values: NDArray[np.float32]
    body: NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """One image against the truth, inside the body; SSIM is of slices, 7 x 7 pixels."""

    case: str
    method: str
    mae_percent: float
    psnr_db: float
    ssim: float


def picture(path: Path) -> Shown:
    """A picture, or an output of a model: its range of values, which is fixed, is 0 to 1."""
    scan = read_scan(path)
    white = OUTPUT_WINDOW.upper
    if isinstance(scan.source_header, RasterSourceHeader):
        white = float(np.iinfo(scan.source_header.dtype).max)
    values = np.clip(np.moveaxis(scan.volume.voxels, 2, 0) / white, 0.0, 1.0)
    return Shown(values.astype(np.float32), np.ones(values.shape, bool))


def magnetic(path: Path) -> Shown:
    """An acquired MR, which has no unit: percentiles of the body are 0 and 1, as in training."""
    scan = read_scan(path, modality="MR")
    body = find_body(scan, None)
    window = fit_window(scan.volume, body, MR)
    share = (np.moveaxis(scan.volume.voxels, 2, 0) - window.lower) / (window.upper - window.lower)
    inside = np.moveaxis(body.voxels > 0, 2, 0)
    return Shown(np.clip(share, 0.0, 1.0).astype(np.float32), inside)


def matched(image: Shown, style: Sequence[Shown]) -> Shown:
    """The image with the histogram of some others."""
    pooled = np.concatenate([other.values.ravel() for other in style[:STYLE_IMAGES]])
    values = match_histograms(image.values.ravel(), pooled).reshape(image.values.shape)
    return Shown(values.astype(np.float32), image.body)


def score(case: str, method: str, image: Shown, truth: Shown) -> Score:
    """Compare inside the body of the truth."""
    x, y, body = image.values, truth.values, truth.body
    return Score(
        case=case,
        method=method,
        mae_percent=100.0 * float(np.abs(x - y)[body].mean()),
        psnr_db=psnr_db(x[body], y[body], data_range=1.0),
        ssim=plane_ssim(x, y, body, data_range=1.0),
    )


def save_scores(scores: Sequence[Score], *, to: Path) -> None:
    """Write a row for each image, and print the means of each method; nothing without scores."""
    if not scores:
        return
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Score)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in scores)
    print(to)
    for method in dict.fromkeys(row.method for row in scores):
        rows = [row for row in scores if row.method == method]
        mae, psnr, ssim = np.mean([(r.mae_percent, r.psnr_db, r.ssim) for r in rows], axis=0)
        print(
            f"{method:10} {len(rows)} images: MAE {mae:.2f} %, PSNR {psnr:.2f} dB, SSIM {ssim:.3f}"
        )
