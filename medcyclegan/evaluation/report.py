"""A report of one converted scan: one HTML file with everything inside it.

It shows what it is given and nothing else: no header of the scan is read here, so that no patient
attribute can get in. It loads nothing from elsewhere, so that it can be opened years later.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.columns import CHANGE_HU, DIFFERENCE_HU, NAMES, Names
from medcyclegan.evaluation.metrics import (
    AIR_BELOW_HU,
    BONE_ABOVE_HU,
    SOFT_FROM_HU,
    SOFT_TO_HU,
    Scores,
)
from medcyclegan.evaluation.picture import panel_png
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer
from medcyclegan.evaluation.views import obliquity_degrees
from medcyclegan.foreground import body_mask_ct
from medcyclegan.volume import Volume

# Enough of a sha256 to tell two models apart by eye; the full one is in the model's card.
SHA256_SHOWN = 12

Row = tuple[str, str]


@dataclass(frozen=True, eq=False)
class ScanReport:
    """What a report says.

    Parameters
    ----------
    mr, sct:
        The input and the output on one grid.
    input_format:
        As in ``NIfTI`` or ``DICOM series``; never a path or a name of a patient.
    model_name, model_sha256:
        Which weights made it; the sha256 in hexadecimal.
    seconds:
        How long the conversion took.
    version:
        Of medcyclegan.
    warnings:
        What was noticed on the way, a sentence each.
    ct, scores:
        The true CT on the same grid, and the scores against it, where there are any.
    names:
        What input and output are called.
    """

    mr: Volume
    sct: Volume
    input_format: str
    model_name: str
    model_sha256: str
    seconds: float
    version: str
    warnings: tuple[str, ...] = ()
    ct: Volume | None = None
    scores: Scores | None = None
    names: Names = NAMES


def write_report(report: ScanReport, to: Path) -> None:
    """Write the report as HTML; an existing file is replaced, and the write is not atomic.

    Raises
    ------
    InputRefused
        If the volumes are not on one grid.
    """
    to.write_text(render_report(report), encoding="utf-8")


def render_report(report: ScanReport) -> str:
    """Return the report as the text of an HTML file."""
    environment = Environment(
        loader=PackageLoader("medcyclegan.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    picture = panel_png(mr=report.mr, sct=report.sct, ct=report.ct, names=report.names)
    tissues, tissue_note = _tissue_rows(report.sct)
    return environment.get_template("scan_report.html.j2").render(
        names=report.names,
        unit=report.sct.unit,
        warnings=report.warnings,
        scan_rows=_scan_rows(report),
        model_rows=_model_rows(report),
        tissue_rows=tissues,
        tissue_note=tissue_note,
        score_rows=_score_rows(report.scores) if report.scores else [],
        protocol=report.scores.protocol if report.scores else "",
        picture=base64.b64encode(picture).decode("ascii"),
        with_ct=report.ct is not None,
        seen=_viewer(report),
        version=report.version,
    )


def _viewer(report: ScanReport) -> Viewer:
    """The images, and the difference of those in HU: to the true CT, or else to the input."""
    source, made, true = report.names.source, report.names.made, "True CT"
    images = {source: report.mr, made: report.sct}
    differences = []
    if report.ct is not None:
        images[true] = report.ct
        differences = [Difference("Synthetic \N{MINUS SIGN} true CT", made, true, DIFFERENCE_HU)]
    elif report.mr.unit == report.sct.unit == "HU":
        differences = [Difference("Output \N{MINUS SIGN} input", made, source, CHANGE_HU)]
    return make_viewer(images, differences=differences, layers=(source, made))


def _scan_rows(report: ScanReport) -> list[Row]:
    geometry = report.mr.geometry
    shape = " \N{MULTIPLICATION SIGN} ".join(str(n) for n in geometry.shape)
    spacing = " \N{MULTIPLICATION SIGN} ".join(f"{s:.3g}" for s in geometry.spacing_mm)
    angle = obliquity_degrees(report.mr)
    axes = f"{geometry.axis_codes}, {angle:.1f}\N{DEGREE SIGN} oblique"
    values, unit = report.sct.voxels, report.sct.unit
    return [
        ("Input format", report.input_format),
        ("Grid", f"{shape} voxels"),
        ("Spacing", f"{spacing} mm"),
        ("Axes", axes),
        (
            "HU range" if unit == "HU" else "Range",
            f"{values.min():.0f} to {values.max():.0f} {unit}",
        ),
    ]


def _model_rows(report: ScanReport) -> list[Row]:
    return [
        ("Model", report.model_name),
        ("Weights, sha256", f"{report.model_sha256[:SHA256_SHOWN]}\N{HORIZONTAL ELLIPSIS}"),
        ("medcyclegan", report.version),
        ("Time taken", f"{report.seconds:.1f} s"),
    ]


def _tissue_rows(sct: Volume) -> tuple[list[Row], str]:
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


def _percent(part: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    return f"{100.0 * float(part.mean()):.1f} %"


def _score_rows(scores: Scores) -> list[Row]:
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
