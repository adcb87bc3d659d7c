"""Which group a patient is in, from a table of the user."""

from __future__ import annotations

import csv
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.names import composed
from medcyclegan.io.read import refuse_irregular

CASE = "case"
# A table of a study has some kilobytes; this keeps an image given by mistake out of memory.
MOST_BYTES = 10_000_000


def read_groups(path: Path) -> dict[str, str]:
    """Read a CSV table with a column ``case`` and one for the group: ``group``, or the only other.

    Comma or semicolon; the first line names the columns.

    Raises
    ------
    InputRefused
        If the file is no such table, or names a case twice with different groups.
    """
    refuse_irregular(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputRefused(f"{path} has more than {MOST_BYTES // 1_000_000} MB", rule=_RULE)
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputRefused(f"{path} is no text in UTF-8", rule=_RULE) from error
    lines = text.splitlines()
    delimiter = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    rows = list(csv.DictReader(lines, delimiter=delimiter))
    columns = [name.strip() for name in (lines[0].split(delimiter) if lines else [])]
    column = _group_column(columns, path)
    groups: dict[str, str] = {}
    for row in rows:
        values = {(key or "").strip(): (value or "") for key, value in row.items() if key}
        case, group = composed(values.get(CASE, "").strip()), values.get(column, "").strip()
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
