"""Report of one converted scan: one HTML file with everything inside it.

A report of one converted scan: one HTML file with everything inside it.
It shows what it is given and nothing else: no header of the scan is read here, so that no patient
attribute can get in. It loads nothing from elsewhere, so that it can be opened years later.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import (
    AIR_BELOW_HU,
    BONE_ABOVE_HU,
    SOFT_FROM_HU,
    SOFT_TO_HU,
    Scores,
    no_reference,
)
from medcyclegan.evaluation.pictures import (
    CHANGE_HU,
    DIFFERENCE_HU,
    NAMES,
    Names,
    draw_panel,
    panel_png,
    uncertainty_column,
)
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer
from medcyclegan.evaluation.views import obliquity_degrees
from medcyclegan.imaging.body_mask import body_mask_ct


def page_template(name: str) -> Template:
    """Return a template of the package; a value that it names and is not given is an error."""
    environment = Environment(
        loader=PackageLoader("medcyclegan.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


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


def tissue_rows(sct: Volume, body: Volume | None) -> tuple[list[Row], str]:
    """Shares of the body by HU, and a note where no body was found; nothing for other units.

    The body is sought in ``sct`` where no mask of it is given.
    """
    if sct.unit != "HU":
        return [], ""
    try:
        inside = (body or body_mask_ct(sct)).voxels > 0
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


def no_reference_rows(mr: Volume, sct: Volume, body: Volume) -> list[Row]:
    """Return what can be told without a true image."""
    features = no_reference(mr, sct, body)
    return [
        (
            "Mutual information with the input, 1 to 2",
            _number(features.mutual_information, digits=2),
        ),
        ("Steps between slices to steps within", _number(features.continuity, digits=2)),
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


def full_reference_rows(scores: Scores) -> list[Row]:
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


# Enough of a sha256 to tell two models apart by eye; the full one is in the model's card.
SHA256_SHOWN = 12


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
    body:
        Mask of the body on the same grid: tissues and quality are measured in it, and the planes
        shown run through it. Without one it is sought in ``sct``, and no quality is measured.
    verdict, is_out_of_distribution, signs:
        Whether the features of the run lie within the model's reference ranges, in a sentence, and
        each feature: what it is, its value, its range. Empty where that is not judged.
    uncertainty, uncertainty_name:
        The map of uncertainty in the unit of ``sct`` on the same grid, and what it holds.
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
    body: Volume | None = None
    verdict: str = ""
    is_out_of_distribution: bool = False
    features: tuple[tuple[str, str, str], ...] = ()
    uncertainty: Volume | None = None
    uncertainty_name: str = "Expected error"


def render_report(report: ScanReport) -> str:
    """Return the report as the text of an HTML file.

    Raises
    ------
    InputRefused
        If the volumes are not on one grid.
    """
    more = []
    if report.uncertainty is not None:
        more = [uncertainty_column(report.uncertainty_name, report.uncertainty, report.mr)]
    picture = panel_png(
        draw_panel(
            mr=report.mr,
            sct=report.sct,
            ct=report.ct,
            names=report.names,
            more=more,
            body=report.body,
        )
    )
    tissues, tissue_note = tissue_rows(report.sct, report.body)
    return page_template("scan_report.html.j2").render(
        names=report.names,
        unit=report.sct.unit,
        warnings=report.warnings,
        scan_rows=scan_rows(report.mr, report.sct, report.input_format),
        model_rows=_model_rows(report),
        tissue_rows=tissues,
        tissue_note=tissue_note,
        verdict=report.verdict,
        is_out_of_distribution=report.is_out_of_distribution,
        judged=report.features,
        uncertainty_rows=_uncertainty_rows(report),
        uncertainty_name=report.uncertainty_name,
        no_reference_rows=[]
        if report.body is None
        else no_reference_rows(report.mr, report.sct, report.body),
        full_reference_rows=full_reference_rows(report.scores) if report.scores else [],
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
    if report.uncertainty is not None:
        images[report.uncertainty_name] = report.uncertainty
    return make_viewer(images, differences=differences, layers=(source, made))


def _uncertainty_rows(report: ScanReport) -> list[Row]:
    if report.uncertainty is None or report.body is None:
        return []
    return uncertainty_rows(report.uncertainty, report.body)


def _model_rows(report: ScanReport) -> list[Row]:
    return [
        ("Model", report.model_name),
        ("Weights, sha256", f"{report.model_sha256[:SHA256_SHOWN]}\N{HORIZONTAL ELLIPSIS}"),
        ("medcyclegan", report.version),
        ("Time taken", f"{report.seconds:.1f} s"),
    ]
