"""Tables that users write: CSV with a line of column names first."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.discover import refuse_irregular

# A table of names has some kilobytes; this keeps an image given by mistake out of memory.
MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Table:
    """Column names, and a row for each line, by column; blanks around values are gone."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_table(path: Path, *, rule: str) -> Table:
    """Read a CSV table in UTF-8, with commas or semicolons; ``rule`` says what it should be.

    Raises
    ------
    InputRefused
        If it is no such table: no text in UTF-8, too large, or with a line that has no end.
    """
    refuse_irregular(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputRefused(f"{path} has more than {MOST_BYTES // 1_000_000} MB", rule=rule)
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputRefused(f"{path} is no text in UTF-8", rule=rule) from error
    delimiter = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    try:
        names, *parts = [
            [part.strip() for part in line] for line in csv.reader(lines, delimiter=delimiter)
        ] or [[]]
    except csv.Error as error:
        raise InputRefused(f"{path}: {error}", rule=rule) from error
    rows = tuple(
        dict(zip(names, [*values, *[""] * len(names)], strict=False))
        for values in parts
        if any(values)
    )
    return Table(tuple(names), rows)
