"""A report of one converted scan: one HTML file with everything inside it.

It shows what it is given and nothing else: no header of the scan is read here, so that no patient
attribute can get in. It loads nothing from elsewhere, so that it can be opened years later.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.evaluation.columns import (
    CHANGE_HU,
    DIFFERENCE_HU,
    NAMES,
    Names,
    uncertainty_column,
)
from medcyclegan.evaluation.metrics import Scores
from medcyclegan.evaluation.pages import page_template
from medcyclegan.evaluation.picture import panel_png
from medcyclegan.evaluation.report_rows import (
    Row,
    scan_rows,
    score_rows,
    sign_rows,
    tissue_rows,
    uncertainty_rows,
)
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer
from medcyclegan.volume import Volume

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
        Mask of the body on the same grid, within which signs of quality are measured.
    verdict, is_doubtful, signs:
        Whether the model knows such an input, in a sentence, and each sign that tells it: what it
        is, its value, and what the model knows. Empty where that is not judged.
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
    is_doubtful: bool = False
    signs: tuple[tuple[str, str, str], ...] = ()
    uncertainty: Volume | None = None
    uncertainty_name: str = "Expected error"


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
    more = []
    if report.uncertainty is not None:
        more = [uncertainty_column(report.uncertainty_name, report.uncertainty, report.mr)]
    picture = panel_png(mr=report.mr, sct=report.sct, ct=report.ct, names=report.names, more=more)
    tissues, tissue_note = tissue_rows(report.sct)
    return page_template("scan_report.html.j2").render(
        names=report.names,
        unit=report.sct.unit,
        warnings=report.warnings,
        scan_rows=scan_rows(report.mr, report.sct, report.input_format),
        model_rows=_model_rows(report),
        tissue_rows=tissues,
        tissue_note=tissue_note,
        verdict=report.verdict,
        is_doubtful=report.is_doubtful,
        judged=report.signs,
        uncertainty_rows=_uncertainty_rows(report),
        uncertainty_name=report.uncertainty_name,
        sign_rows=[] if report.body is None else sign_rows(report.mr, report.sct, report.body),
        score_rows=score_rows(report.scores) if report.scores else [],
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
