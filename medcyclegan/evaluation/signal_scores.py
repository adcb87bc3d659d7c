"""How far a translated MR or picture is from the true one: PSNR, SSIM and mutual information.

Signal has no unit, so each score needs a range of intensities, and the range needs a name: numbers
of two ranges must not be set side by side. There is no HU here, and no tissue by HU.

Sources: Wang et al. 2004 (SSIM), Studholme et al. 1999 (normalised mutual information).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import FloatArray
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.metrics import check_same_grid
from medcyclegan.evaluation.similarity import MARGIN, WINDOW, plane_ssim, psnr_db, ssim
from medcyclegan.imaging.mutual_information import (
    binned_by_edges,
    joint_histogram,
    normalised_mutual_information,
)

BoolArray = NDArray[np.bool_]
RangeKind = Literal["each", "reference", "fixed"]

# Fat and vessels are a small and much the brightest part of the signal.
UPPER_PERCENTILE = 99.5
BINS = 64


@dataclass(frozen=True)
class IntensityRange:
    """Which intensities count as 0 and as 1; what lies outside is clipped.

    ``each``: from 0 to the 99.5th percentile in the mask, of each image its own, for images whose
    scales have nothing to do with each other. ``reference``: the same of the reference for both,
    for images of one scale. ``fixed``: from ``low`` to ``high`` for both.
    """

    kind: RangeKind
    low: float = 0.0
    high: float = math.nan

    def __post_init__(self) -> None:
        if self.kind == "fixed" and not (
            math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high
        ):
            raise UsageError(
                f"The range of intensities {self.low:g} to {self.high:g}",
                rule="the first number is below the second",
                remedy="give --range LOW:HIGH, as in --range 0:255",
            )

    @property
    def name(self) -> str:
        """What tables call the range, as they call a protocol."""
        if self.kind == "fixed":
            return f"range-{self.low:g}-to-{self.high:g}"
        return f"range-{self.kind}-p{UPPER_PERCENTILE:g}"

    @property
    def text(self) -> str:
        """The range in words."""
        if self.kind == "fixed":
            return f"{self.low:g} to {self.high:g} in both images"
        whose = {
            "each": "of each image, its own",
            "reference": "of the true image, for both",
        }[self.kind]
        return f"0 to the {UPPER_PERCENTILE:g}th percentile inside the mask {whose}"


@dataclass(frozen=True)
class SignalScores:
    """Scores of one translated image inside the mask, within a named range of intensities.

    ``mae_percent`` is the mean absolute error in percent of the range. ``ssim`` is NaN where no
    pixel of the mask has a whole window; ``nmi`` is 1 for independent images and 2 where one is a
    function of the other, NaN where one is constant. ``ref_high`` and ``pred_high`` are the upper
    ends of the range in the images' own values.
    """

    protocol: str
    mae_percent: float
    psnr_db: float
    ssim: float
    nmi: float
    ref_high: float
    pred_high: float


def score_signal(
    pred: Volume, ref: Volume, mask: Volume, *, intensities: IntensityRange
) -> SignalScores:
    """Compare a translated image with the true one inside a mask.

    Parameters
    ----------
    pred, ref:
        Signal of any scale on one grid, not in HU.
    mask:
        Above 0 where scores are taken; unit ``mask``.

    Raises
    ------
    InputRefused
        If the grids differ, an image is in HU, the mask is empty, or an image has no signal in it.
    """
    for name, image in (("translated image", pred), ("reference", ref)):
        check_same_grid(ref, image, name=name)
        if image.unit == "HU":
            raise InputRefused(
                f"The {name} is in HU",
                rule="these scores are of signal without a unit",
                remedy="score CTs with --kind ct",
            )
    check_same_grid(ref, mask, name="mask")
    inside = np.asarray(mask.voxels > 0)
    if not inside.any():
        raise InputRefused("The mask is empty", rule="scores are means over the body")
    ref_high = _high(ref, inside, intensities, name="reference")
    pred_high = ref_high
    if intensities.kind == "each":
        pred_high = _high(pred, inside, intensities, name="translated image")
    x = _scaled(pred, inside, intensities.low, pred_high)
    y = _scaled(ref, inside, intensities.low, ref_high)
    return SignalScores(
        protocol=intensities.name,
        mae_percent=100.0 * float(np.abs(x[inside] - y[inside]).mean()),
        psnr_db=psnr_db(x[inside], y[inside], data_range=1.0),
        ssim=_similarity(x, y, inside),
        nmi=_mutual_information(x[inside], y[inside]),
        ref_high=ref_high,
        pred_high=pred_high,
    )


def _high(image: Volume, inside: BoolArray, intensities: IntensityRange, *, name: str) -> float:
    if intensities.kind == "fixed":
        return intensities.high
    high = float(np.percentile(image.voxels[inside], UPPER_PERCENTILE))
    if high <= 0.0:
        raise InputRefused(
            f"The {name} has no signal: its {UPPER_PERCENTILE:g}th percentile inside the mask is "
            f"{high:g}",
            rule="the range of intensities goes from 0 up",
            remedy="check the image, or give the range with --range LOW:HIGH",
        )
    return high


def _scaled(image: Volume, inside: BoolArray, low: float, high: float) -> FloatArray:
    """Map the range to 0 to 1 and clip; 0 outside of the mask."""
    values = (image.voxels.astype(np.float64) - low) / (high - low)
    return np.where(inside, np.clip(values, 0.0, 1.0), 0.0)


def _similarity(x: FloatArray, y: FloatArray, inside: BoolArray) -> float:
    """SSIM in 3D, or plane by plane where a volume is thinner than the window."""
    if min(x.shape) >= WINDOW:
        return ssim(x, y, inside, data_range=1.0)
    thin = int(np.argmin(x.shape))
    x, y = np.moveaxis(x, thin, 0), np.moveaxis(y, thin, 0)
    return plane_ssim(x, y, np.moveaxis(inside, thin, 0), data_range=1.0, margin_px=MARGIN)


def _mutual_information(x: FloatArray, y: FloatArray) -> float:
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    joint = joint_histogram(binned_by_edges(x, BINS), binned_by_edges(y, BINS), BINS)
    return normalised_mutual_information(joint)
