"""The tables of a scan's report, as rows of name and value."""

from __future__ import annotations

import math

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import (
    AIR_BELOW_HU,
    BONE_ABOVE_HU,
    SOFT_FROM_HU,
    SOFT_TO_HU,
    Scores,
)
from medcyclegan.evaluation.no_reference import no_reference
from medcyclegan.evaluation.views import obliquity_degrees
from medcyclegan.foreground import body_mask_ct
from medcyclegan.volume import Volume

Row = tuple[str, str]


def scan_rows(mr: Volume, sct: Volume, input_format: str) -> list[Row]:
    geometry = mr.geometry
    shape = " \N{MULTIPLICATION SIGN} ".join(str(n) for n in geometry.shape)
    spacing = " \N{MULTIPLICATION SIGN} ".join(f"{s:.3g}" for s in geometry.spacing_mm)
    angle = obliquity_degrees(mr)
    axes = f"{geometry.axis_codes}, {angle:.1f}\N{DEGREE SIGN} oblique"
    values, unit = sct.voxels, sct.unit
    return [
        ("Input format", input_format),
        ("Grid", f"{shape} voxels"),
        ("Spacing", f"{spacing} mm"),
        ("Axes", axes),
        (
            "HU range" if unit == "HU" else "Range",
            f"{values.min():.0f} to {values.max():.0f} {unit}",
        ),
    ]


def tissue_rows(sct: Volume) -> tuple[list[Row], str]:
    """Shares of the body by HU, and a note where no body was found; nothing for other units."""
    if sct.unit != "HU":
        return [], ""
    try:
        inside = body_mask_ct(sct).voxels > 0
    except InputRefused as refusal:
        return [], str(refusal)
    hu = sct.voxels[inside]
    millilitres = hu.size * float(np.prod(sct.geometry.spacing_mm)) / 1000.0
    air = hu < AIR_BELOW_HU
    soft = (hu >= SOFT_FROM_HU) & (hu <= SOFT_TO_HU)
    bone = hu > BONE_ABOVE_HU
    between = ~(air | soft | bone)
    return [
        ("Body", f"{millilitres:.0f} ml"),
        (f"Air, below {AIR_BELOW_HU:.0f} HU", _percent(air)),
        (f"Soft tissue, {SOFT_FROM_HU:.0f} to {SOFT_TO_HU:.0f} HU", _percent(soft)),
        (f"Bone, above {BONE_ABOVE_HU:.0f} HU", _percent(bone)),
        ("Between these ranges", _percent(between)),
    ], ""


def sign_rows(mr: Volume, sct: Volume, body: Volume) -> list[Row]:
    """Return what can be told without a true image."""
    signs = no_reference(mr, sct, body)
    return [
        ("Mutual information with the input, 1 to 2", _number(signs.mutual_information, digits=2)),
        ("Steps between slices to steps within", _number(signs.continuity, digits=2)),
    ]


def uncertainty_rows(uncertainty: Volume, body: Volume) -> list[Row]:
    """Return what a map of uncertainty comes to inside the body."""
    values = uncertainty.voxels[body.voxels > 0]
    if not values.size:
        return []
    unit = f" {uncertainty.unit}"
    return [
        ("Mean", _number(float(values.mean()), unit)),
        ("Median", _number(float(np.median(values)), unit)),
        ("95th percentile", _number(float(np.percentile(values, 95.0)), unit)),
    ]


def _percent(part: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    return f"{100.0 * float(part.mean()):.1f} %"


def score_rows(scores: Scores) -> list[Row]:
    rows = [
        ("MAE", _number(scores.mae_hu, " HU")),
        ("MAE in air", _number(scores.mae_air_hu, " HU")),
        ("MAE in soft tissue", _number(scores.mae_soft_hu, " HU")),
        ("MAE in bone", _number(scores.mae_bone_hu, " HU")),
        ("PSNR", _number(scores.psnr_db, " dB")),
        ("Dice of bone", _number(scores.dice_bone, digits=3)),
    ]
    if scores.ssim is not None:
        rows.append(("SSIM", _number(scores.ssim, digits=3)))
    if scores.ms_ssim is not None:
        rows.append(("MS-SSIM", _number(scores.ms_ssim, digits=3)))
    return rows


def _number(value: float, unit: str = "", *, digits: int = 1) -> str:
    return "not defined" if math.isnan(value) else f"{value:.{digits}f}{unit}"
