"""Which group a patient is in, from a table of the user."""

from __future__ import annotations

from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.case_names import composed
from medcyclegan.io.table import read_table

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
