"""Register the CTs of a folder of patients to their MRs, one failure apart from the others."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.errors import InputRefused, MedcycleganError, NotAligned
from medcyclegan.evaluation.study.plan import Images, find_images
from medcyclegan.io.atomic import atomic_file
from medcyclegan.workflow.align import Aligned

TABLE = "align.csv"


@dataclass(frozen=True, eq=False)
class Row:
    """A patient of a folder: aligned, kept (of an earlier run), not aligned, refused, unmatched.

    ``code`` is the exit code that the pair alone would have ended with.
    """

    case: str
    status: str
    reason: str = ""
    output: Path | None = None
    figures: dict[str, float] | None = None
    code: int = 0


def are_folders_of_patients(fixed: Path, moving: Path) -> bool:
    """Whether both are folders, and not each a DICOM series by itself."""
    if not (fixed.is_dir() and moving.is_dir()):
        return False
    return not (find_images(fixed, role="mr").alone and find_images(moving, role="ref").alone)


def align_folders(
    fixed: Path,
    moving: Path,
    out: Path,
    *,
    one: Callable[[Path, Path, Path], Aligned],
    overwrite: bool = False,
) -> tuple[Row, ...]:
    """Register the CT of each patient of two folders, or of one folder of patients.

    Images belong together by names of files and folders, as in ``evaluate``. ``one`` registers a
    pair. One that fails is a row and does not stop the others; images that an earlier run made
    are kept. The table ``align.csv`` is written in the end, also of a run that is broken off.

    Raises
    ------
    InputRefused
        If a folder holds no images, or no patient has both.
    """
    mrs, cts = find_images(fixed, role="mr"), find_images(moving, role="ref")
    both = [case for case in mrs.by_case if case in cts.by_case]
    if not both:
        raise InputRefused(
            f"No patient of {fixed} ({_some(mrs)}) has a CT in {moving} ({_some(cts)})",
            rule="images belong together by the names of their files or folders, without words "
            "such as mr, t1 or ct",
            remedy="name them alike",
        )
    rows = [
        *_unmatched(mrs, cts, "no CT of this name"),
        *_unmatched(cts, mrs, "no MR of this name"),
    ]
    out.mkdir(parents=True, exist_ok=True)
    try:
        for case in both:
            target = out / f"{case.replace('/', '_')}_ct.nii.gz"
            if target.exists() and not overwrite:
                rows.append(Row(case, "kept", output=target))
                continue
            rows.append(_row(case, partial(one, mrs.by_case[case], cts.by_case[case], target)))
    finally:
        _write_table(out / TABLE, rows)
    return tuple(rows)


def _row(case: str, align: Callable[[], Aligned]) -> Row:
    try:
        done = align()
    except NotAligned as error:
        return Row(
            case, "not aligned", path_text(str(error)), figures=error.figures, code=error.exit_code
        )
    except MedcycleganError as error:
        return Row(case, "refused", path_text(str(error)), code=error.exit_code)
    said = " ".join(done.warnings)
    return Row(case, "aligned", said, done.outputs["image"], done.alignment.figures())


def _unmatched(ours: Images, theirs: Images, reason: str) -> list[Row]:
    known = {*theirs.by_case, *theirs.unclear}
    rows = [Row(case, "unmatched", reason) for case in ours.by_case if case not in known]
    return rows + [Row(case, "unmatched", why) for case, why in ours.unclear.items()]


def _some(images: Images) -> str:
    return ", ".join(sorted(images.by_case)[:5]) or "none"


def _write_table(path: Path, rows: list[Row]) -> None:
    names = sorted({name for row in rows for name in row.figures or {}})
    with atomic_file(path, overwrite=True) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["case", "status", "output", *names, "reason"])
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    "case": row.case,
                    "status": row.status,
                    "output": row.output.name if row.output else "",
                    "reason": row.reason,
                    **{name: f"{value:.5g}" for name, value in (row.figures or {}).items()},
                }
            )
