"""What the record of a batch says of the synthetic CTs that lie beside it.

Which inputs were out-of-distribution for the model, what was warned of, and what kind of
image was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medcyclegan.core.text import (
    MOST_TABLE_BYTES,
    counted,
    is_or_are,
    parse_json,
    path_text,
    read_text,
)
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.io.discover import NIFTI_WRITTEN, walk
from medcyclegan.io.leftovers import sidecar_path

# The record that a batch leaves in its folder of outputs.
BATCH_RECORD = "batch.json"
# What the record calls images in HU.
MAKES_HU = "HU"
# Names are listed as far as a sentence bears.
_MOST_NAMES = 10

Sentences = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Batches:
    """Warnings by method, then by the absolute path of the image, as text.

    Those on features outside the reference ranges are ``out_of_distribution``, the others
    ``warnings``. ``units`` and ``models`` are what records tell was made, and with which model,
    by method.
    """

    out_of_distribution: dict[str, Sentences]
    warnings: dict[str, Sentences]
    units: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def out_of_distribution_of(self, patients: Iterable[Patient]) -> Sentences:
        """Return a sentence on each feature outside the reference ranges of a patient, by case."""
        return _by_case(patients, self.out_of_distribution, "out-of-distribution: ")

    def warnings_of(self, patients: Iterable[Patient]) -> Sentences:
        """Return a sentence on each other warning of each patient, by case."""
        return _by_case(patients, self.warnings, "warned of when it was made: ")


def records_of(request: StudyRequest) -> Batches:
    """Read the records in the folders of the methods.

    A folder of images without a record, or with a damaged one, tells of nothing.
    """
    outside, warnings = {}, {}
    records = {method.name: _record_of(method.path) for method in request.methods}
    for method in request.methods:
        rows = [row for row in _rows(records[method.name]) if isinstance(row.get("output"), str)]
        places = [(path_text(_absolute(method.path / row["output"])), row) for row in rows]
        outside[method.name] = {place: _texts(row, "doubts") for place, row in places}
        warnings[method.name] = {
            place: tuple(t for t in _texts(row, "warnings") if t not in _texts(row, "doubts"))
            for place, row in places
        }
    return Batches(
        outside,
        warnings,
        units={name: str(r["unit"]) for name, r in records.items() if r.get("unit")},
        models={name: str(r["model"]) for name, r in records.items() if r.get("model")},
    )


def refuse_no_hu(request: StudyRequest, batches: Batches) -> None:
    """Raise InputRefused if the record of a method says that it holds something else than HU."""
    for method in request.methods:
        made = batches.units.get(method.name, MAKES_HU)
        if made != MAKES_HU:
            raise InputRefused(
                f"{method.path} holds what a batch made with the model "
                f"{batches.models.get(method.name, '')}, in {made}",
                rule="this is a study of synthetic CTs, in HU",
                remedy="name the folder of synthetic CTs, or say --kind mr",
            )


def out_of_distribution_warning(outside: Sentences, scored: set[str]) -> tuple[str, ...]:
    """Return a sentence that names the scored patients that are out-of-distribution, if any are."""
    cases = [case for case in outside if case in scored]
    if not cases:
        return ()
    names = ", ".join(cases[:_MOST_NAMES]) + (", ..." if len(cases) > _MOST_NAMES else "")
    return (
        f"{len(cases)} of {counted(len(scored), 'patient')} {is_or_are(len(cases))} "
        f"out-of-distribution for the model, by the record of a batch: {names}. Their images are "
        "scored with the others; look at them apart.",
    )


def _by_case(patients: Iterable[Patient], said: dict[str, Sentences], how: str) -> Sentences:
    found: Sentences = {}
    for patient in patients:
        sentences = tuple(
            f"{method}: {how}{text}"
            for method, path in patient.preds.items()
            for text in said[method].get(path_text(_absolute(path)), ())
        )
        if sentences:
            found[patient.case] = sentences
    return found


def _record_of(path: Path) -> dict[str, Any]:
    """The record of a batch in a folder, or else what the sidecar of its first NIfTI file says."""
    record = _record_in(path)
    return record if record.get("unit") else record | _sidecar_of(path)


def _sidecar_of(path: Path) -> dict[str, Any]:
    """Unit and model by the sidecar that medcyclegan wrote beside an image; empty without one."""
    images = [path]
    if path.is_dir():
        inside = [folder.path / name for folder in walk(path) for name in folder.files]
        images = sorted(one for one in inside if one.name.lower().endswith(NIFTI_WRITTEN))
    for image in images:
        place = sidecar_path(image)
        told = {} if place is None or not place.is_file() else _json(place)
        facts = told.get("medcyclegan")
        if isinstance(facts, dict) and isinstance(told.get("Units"), str):
            model = facts.get("model")
            name = model.get("name") if isinstance(model, dict) else model
            return {"unit": told["Units"], **({"model": name} if isinstance(name, str) else {})}
    return {}


def _record_in(folder: Path) -> dict[str, Any]:
    """The record in a folder, empty where there is none."""
    return _json(folder / BATCH_RECORD)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_text(path, most_bytes=MOST_TABLE_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = record.get("rows")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _texts(row: dict[str, Any], key: str) -> tuple[str, ...]:
    found = row.get(key)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _absolute(path: Path) -> Path:
    return path.absolute()
