"""Patients of a study: paths of the images, their roles and groups."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.errors import InputRefused
from medcyclegan.io.case_names import composed
from medcyclegan.io.discover import DETACHED_ENDINGS, walk
from medcyclegan.io.held_files import sha256_of
from medcyclegan.io.table import read_table


@dataclass(frozen=True)
class Patient:
    """The images of one patient; ``preds`` by the name of the method."""

    case: str
    ref: Path
    preds: dict[str, Path]
    mask: Path | None = None
    mr: Path | None = None
    target: Path | None = None


@dataclass(frozen=True)
class Refusal:
    """A patient, or a method's image of it, that could not be scored, and why."""

    case: str
    method: str
    reason: str

    def __post_init__(self) -> None:
        # Reasons quote paths, which may be no text.
        object.__setattr__(self, "reason", path_text(self.reason))


@dataclass
class Roles:
    """Who has which file: by what the system knows a file by, links followed."""

    taken: dict[object, str] = field(default_factory=dict)

    def claim(self, path: Path, role: str) -> str:
        """Give a file a role; returns the role that it has already, or nothing."""
        before = self.taken.setdefault(_identity(path), role)
        return "" if before == role else before


def told_apart(
    patients: tuple[Patient, ...],
) -> tuple[tuple[Patient, ...], tuple[Refusal, ...], tuple[str, ...]]:
    """Return the patients with files of their own, the refusals, and warnings on MRs left out.

    References come first, then synthetic CTs, masks and MRs: who comes later and would share a
    file goes without it.
    """
    roles = Roles()
    refusals: list[Refusal] = []
    with_refs: list[Patient] = []
    for patient in patients:
        role = f"the reference CT of {patient.case}"
        if other := roles.claim(patient.ref, role):
            reason = f"its reference CT, {patient.ref.name}, is {other}"
            refusals += [Refusal(patient.case, method, reason) for method in patient.preds]
        else:
            with_refs.append(patient)
    kept: list[Patient] = []
    warnings: list[str] = []
    for patient in with_refs:
        preds = dict(patient.preds)
        for method, path in patient.preds.items():
            if other := roles.claim(path, f"the synthetic CT of {patient.case} of {method}"):
                del preds[method]
                reason = f"no synthetic CT of its own: {path.name} is {other}"
                refusals.append(Refusal(patient.case, method, reason))
        kept.append(replace(patient, preds=preds))
    found = [_with_others(patient, roles, refusals, warnings) for patient in kept if patient.preds]
    return tuple(p for p in found if p.preds), tuple(refusals), tuple(warnings)


def _with_others(
    patient: Patient, roles: Roles, refusals: list[Refusal], warnings: list[str]
) -> Patient:
    """Claim mask and MR: without a mask of its own nothing is scored, an MR is for looking."""
    case, mask, mr = patient.case, patient.mask, patient.mr
    if mask is not None and (other := roles.claim(mask, f"the mask of {case}")):
        reason = f"no mask of its own: {mask.name} is {other}"
        refusals += [Refusal(case, method, reason) for method in patient.preds]
        return replace(patient, preds={})
    if mr is not None and (other := roles.claim(mr, f"the MR of {case}")):
        warnings.append(f"{case}: the MR is not shown: {path_text(mr.name)} is {other}.")
        return replace(patient, mr=None)
    return patient


def refuse_copy(pred: Path, ref: Path) -> None:
    """Raise InputRefused if a prediction has the bytes of the reference, in whatever order."""
    if _is_detached(pred) or _is_detached(ref) or pred.is_dir() != ref.is_dir():
        return
    ours, theirs = _files(pred), _files(ref)
    if sorted(p.stat().st_size for p in ours) != sorted(p.stat().st_size for p in theirs):
        return
    if sha256_of(ours) == sha256_of(theirs):
        raise InputRefused(
            f"The prediction {pred} is a copy of the reference, byte by byte",
            rule="an image is not scored against itself",
            remedy="give what the method made",
        )


@dataclass
class Copies:
    """Who came first with which bytes, to tell copies of one image given for two patients."""

    first: dict[object, str] = field(default_factory=dict)

    def of(self, path: Path, kind: str, case: str) -> tuple[str, ...]:
        """Say whose ``kind`` of image has the same bytes: one sentence, or none."""
        if _is_detached(path):
            return ()
        before = self.first.setdefault((kind, sha256_of(_files(path))), case)
        return () if before == case else (f"the {kind} is a copy of that of {before}",)


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _is_detached(path: Path) -> bool:
    """Whether its voxels are in another file: two headers may be alike, and the images not."""
    return path.is_file() and path.name.lower().endswith(DETACHED_ENDINGS)


def _files(path: Path) -> list[Path]:
    """The file itself, or all in a folder and below it that are not hidden."""
    if not path.is_dir():
        return [path]
    inside = (folder.path / name for folder in walk(path) for name in folder.files)
    return [inner for inner in inside if inner.is_file()]


CASE = "case"


def read_groups(path: Path) -> dict[str, str]:
    """Read a CSV table with a column ``case`` and one for the group: ``group``, or the only other.

    Comma or semicolon; the first line names the columns.

    Raises
    ------
    InputRefused
        If the file is no such table, or names a case twice with different groups.
    """
    table = read_table(path, rule=_RULE)
    column = _group_column(list(table.columns), path)
    groups: dict[str, str] = {}
    for row in table.rows:
        case, group = composed(row[CASE]), row[column]
        if groups.setdefault(case, group) != group:
            raise InputRefused(f"{path}: the case {case!r} is in two groups", rule=_RULE)
    return groups


_RULE = "the table of groups is CSV with the columns 'case' and 'group', a line a case"


def _group_column(columns: list[str], path: Path) -> str:
    others = [name for name in columns if name != CASE]
    if CASE not in columns or not others:
        raise InputRefused(f"{path} has the columns {', '.join(columns) or '(none)'}", rule=_RULE)
    if "group" in others:
        return "group"
    if len(others) > 1:
        raise InputRefused(
            f"{path} has several columns that may be the group: {', '.join(others)}",
            rule=_RULE,
            remedy="name the one that counts 'group'",
        )
    return others[0]
