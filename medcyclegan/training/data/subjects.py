"""Which subject an input shows, and which subjects are held back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from pathlib import PurePath

from medcyclegan.io.case_names import patient, stem
from medcyclegan.pathtext import path_text

_BIDS = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


def subject_of_path(relative: PurePath, *, kinds: Collection[str] = ()) -> str:
    """The subject of a file that tells none, from its path below the folder of its side.

    The entity ``sub-XX`` of BIDS where there is one; else the first folder that does not just name
    a kind of image (as ``mr`` or one of ``kinds``), for files in folders; else the part of the
    file's name before the first ``_`` or ``.``: several slices or contrasts of one patient must
    never be told apart.
    """
    found = _BIDS.search(relative.as_posix())
    if found:
        return found.group(1)
    folders = [part for part in relative.parent.parts if patient(part, kinds=kinds)]
    if folders:
        return path_text(folders[0])
    name = relative.name
    start = re.split(r"[_.]", name, maxsplit=1)[0]
    if start and not patient(start, kinds=kinds):  # mr_P01
        start = re.split(r"[_.]", patient(stem(name), kinds=kinds), maxsplit=1)[0]
    return path_text(start or name)


def subject_of_id(patient_id: str) -> str:
    """The subject of a DICOM PatientID, which itself goes nowhere."""
    return f"id-{hashlib.sha256(patient_id.encode()).hexdigest()[:12]}"


def held_back(a: Iterable[str], b: Iterable[str], *, share: float, seed: int) -> frozenset[str]:
    """Choose the subjects for validation: ``share`` of those of both sides, of A and of B alone.

    At least one of each kind where there are two; never all of a kind.
    """
    subjects_a, subjects_b = frozenset(a), frozenset(b)
    kinds = (subjects_a & subjects_b, subjects_a - subjects_b, subjects_b - subjects_a)
    chosen: set[str] = set()
    for kind in kinds:
        count = min(max(1, round(share * len(kind))), len(kind) - 1) if share > 0 else 0
        chosen.update(sorted(kind, key=lambda name: _rank(name, seed))[: max(0, count)])
    return frozenset(chosen)


def _rank(subject: str, seed: int) -> str:
    """A number from subject and seed alone, so that another subject changes no other's place."""
    return hashlib.sha256(f"{seed}/{subject}".encode()).hexdigest()
