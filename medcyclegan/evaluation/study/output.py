"""The folder of a study: made under a temporary name, and renamed when complete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.evaluation.dose import DoseResult, dose_rows
from medcyclegan.evaluation.study.figure_signals import draw_signals
from medcyclegan.evaluation.study.figure_style import Drawn, drawing
from medcyclegan.evaluation.study.figures import Scored, draw_all
from medcyclegan.evaluation.study.page import Picture, patient_sections, render_study
from medcyclegan.evaluation.study.patient import Refusal
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.evaluation.study.signals import (
    MeasuredSignal,
)
from medcyclegan.evaluation.study.tables import (
    Row,
    Study,
    as_csv,
    as_json,
    beam_rows,
    comparison_rows,
    comparison_table,
    score_rows,
    score_table,
    summary_rows,
    summary_table,
)
from medcyclegan.evaluation.water_paths import (
    BODY_PITCH_MM,
    LEAST_PATH_MM,
    STEP_MM,
    TARGET_PITCH_MM,
)
from medcyclegan.io.atomic import atomic_folder, ensure_writable
from medcyclegan.io.targets import COMPLETION_RECORD

# Version 2: kinds of images, water-equivalent paths and doses.
SCHEMA, SCHEMA_VERSION = "medcyclegan-study", 2

_SUMMARY_COLUMNS = (
    "method", "group", "metric", "n", "mean", "sd", "median", "ci95_low", "ci95_high", "protocol",
)  # fmt: skip
_COMPARISON_COLUMNS = (
    "metric", "first", "second", "n", "mean_difference", "median_difference", "p", "p_holm",
    "protocol",
)  # fmt: skip


def ensure_study_writable(request: StudyRequest) -> None:
    """Find out before any work that the folder cannot be made.

    Raises
    ------
    CannotWrite
        If it exists and may not be replaced, is inside or around an input, or its parent refuses.
    """
    inputs = [method.path for method in request.methods] + [request.ref]
    others = (request.mask, request.mr, request.groups, request.target, request.dose_from)
    inputs += [path for path in others if path is not None]
    for source in inputs:
        ensure_writable(request.out, source=source, overwrite=request.overwrite, folder=True)


def write_study(study: Study) -> None:
    """Write tables, figures and the report into the folder that the request names.

    Raises
    ------
    CannotWrite
        If that fails; then nothing stands under the final name, or what stood there before.
    """
    request = study.request
    with atomic_folder(request.out, overwrite=request.overwrite) as folder:
        _write_tables(study, folder)
        pictures = _write_figures(study, folder / "figures")
        page = render_study(study, pictures=pictures, patients=patient_sections(study))
        (folder / "report.html").write_text(page, encoding="utf-8")
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        record = {"written_by": "medcyclegan", "files": files}
        (folder / COMPLETION_RECORD).write_text(json.dumps(record, indent=1) + "\n")


def _write_tables(study: Study, folder: Path) -> None:
    protocol = study.protocol
    tables: dict[str, tuple[list[Row], tuple[str, ...], str]] = {
        "metrics": (
            score_rows(
                study.results, metrics=study.columns, protocol=protocol, groups=study.groups
            ),
            (),
            score_table(study.results, metrics=study.metrics, protocol=protocol),
        ),
        "summary": (
            summary_rows(study.summaries, protocol=protocol),
            _SUMMARY_COLUMNS,
            summary_table(study.summaries, protocol=protocol),
        ),
        "comparisons": (
            comparison_rows(study.comparisons, protocol=protocol),
            _COMPARISON_COLUMNS,
            comparison_table(study.comparisons, protocol=protocol),
        ),
    }
    for name, (rows, columns, latex) in tables.items():
        (folder / f"{name}.csv").write_text(as_csv(rows, columns=columns), encoding="utf-8")
        (folder / f"{name}.json").write_text(as_json(rows), encoding="utf-8")
        (folder / f"{name}.tex").write_text(latex, encoding="utf-8")
    further = {"dose": dose_rows(study.doses)}
    if study.request.water_paths is not None:
        further["wepl"] = beam_rows(study.cts, curve=study.request.water_paths.curve.name)
    for name, rows in further.items():
        if rows:
            (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
            (folder / f"{name}.json").write_text(as_json(rows), encoding="utf-8")
    (folder / "study.json").write_text(as_json(_about(study)), encoding="utf-8")


def _about(study: Study) -> dict[str, object]:
    request = study.request
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "medcyclegan": study.version,
        "made_at": study.made_at.isoformat(timespec="seconds"),
        "kind": request.kind,
        "protocol": study.protocol,
        "intensity_range": _range(study),
        "methods": {method.name: path_text(method.path) for method in request.methods},
        "reference": path_text(request.ref),
        "mask": path_text(request.mask) if request.mask else "auto",
        "patients": len(study.patients),
        "scored": len(study.results),
        "unmatched": _refusals(study.unmatched),
        "refused": _refusals(study.refused),
        "warnings": list(study.warnings),
        "notes": {p.case: list(study.notes_on(p.case)) for p in study.patients},
        "water_paths": _paths(study),
        "doses": [_dose(result) for result in study.doses],
    }


def _range(study: Study) -> dict[str, str] | None:
    intensities = study.request.intensities
    return None if intensities is None else {"name": intensities.name, "text": intensities.text}


def _paths(study: Study) -> dict[str, object] | None:
    options = study.request.water_paths
    if options is None:
        return None
    has_target = study.paths == "target"
    return {
        "curve": options.curve.name,
        "kvp": options.kvp,
        "gantry_deg": list(options.gantry_deg),
        "rays_end": "behind the target" if has_target else "where they leave the body",
        "pitch_mm": TARGET_PITCH_MM if has_target else BODY_PITCH_MM,
        "step_mm": STEP_MM,
        "least_path_mm": LEAST_PATH_MM,
        "beams": beam_rows(study.cts, curve=options.curve.name),
    }


def _dose(result: DoseResult) -> dict[str, object]:
    about = result.comparison.model_dump(by_alias=True, exclude={"figure"})
    return about | {"case": result.case, "method": result.method}


def _refusals(refusals: tuple[Refusal, ...]) -> list[dict[str, str]]:
    return [{"case": r.case, "method": r.method, "reason": r.reason} for r in refusals]


def _write_figures(study: Study, folder: Path) -> list[Picture]:
    folder.mkdir()
    pictures = []
    with drawing():
        for drawn in _drawn(study):
            pictures.append(_write_figure(drawn, folder))
    return pictures


def _drawn(study: Study) -> Iterator[Drawn]:
    if not study.is_of_ct:
        signals = tuple(r for r in study.results if isinstance(r, MeasuredSignal))
        yield from draw_signals(study.request, study.patients, signals)
        return
    scored = Scored(study.patients, study.cts, study.methods, study.protocol, study.metrics)
    yield from draw_all(scored, study.request.water_paths)


def _write_figure(drawn: Drawn, folder: Path) -> Picture:
    """Save as PDF and PNG, without the time of writing, so that equal studies give equal files."""
    drawn.figure.draw_without_rendering()
    drawn.figure.set_layout_engine("none")  # found its layout just now; each saving would again
    png = folder / f"{drawn.name}.png"
    drawn.figure.savefig(png, metadata={"Software": None})
    drawn.figure.savefig(folder / f"{drawn.name}.pdf", metadata={"CreationDate": None})
    return Picture(drawn.name, drawn.title, drawn.caption, png.read_bytes())
