"""Which synthetic CTs a batch set apart, as their inputs were not like what the model knows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from medcyclegan.evaluation.study.plan import Patient, StudyRequest

# The record that a batch leaves in its folder of outputs.
BATCH_RECORD = "batch.json"
# Names are listed as far as a sentence bears.
_MOST_NAMES = 10


def doubts_of(patients: Iterable[Patient], request: StudyRequest) -> dict[str, tuple[str, ...]]:
    """Return sentences on the patients, by case, whose images the records of batches doubt.

    A folder of images without a record, or with a damaged one, tells of no doubts.
    """
    records = {method.name: _doubted_in(method.path) for method in request.methods}
    found: dict[str, tuple[str, ...]] = {}
    for patient in patients:
        said: list[str] = []
        for method, path in patient.preds.items():
            said += [f"{method}: doubtful: {why}" for why in records[method].get(_key(path), ())]
        if said:
            found[patient.case] = tuple(said)
    return found


def doubt_warning(doubts: dict[str, tuple[str, ...]], scored: set[str]) -> tuple[str, ...]:
    """Return a sentence that names the scored patients in doubt, if there are any."""
    cases = [case for case in doubts if case in scored]
    if not cases:
        return ()
    names = ", ".join(cases[:_MOST_NAMES]) + (", ..." if len(cases) > _MOST_NAMES else "")
    return (
        f"{len(cases)} of {len(scored)} patients are doubtful by the record of their batch, as the "
        f"model does not know such inputs: {names}. They are scored with the others; look at them "
        "apart.",
    )


def _doubted_in(folder: Path) -> dict[Path, tuple[str, ...]]:
    """Doubts by the path of the image, as the record in ``folder`` has them."""
    try:
        record = json.loads((folder / BATCH_RECORD).read_text(encoding="utf-8"))
        rows = [row for row in record["rows"] if row.get("doubts")]
        return {_key(folder / row["output"]): tuple(map(str, row["doubts"])) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _key(path: Path) -> Path:
    return path.absolute()
