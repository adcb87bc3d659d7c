"""The curve of one's own scanner, from a CSV table with the columns hu and value."""

from __future__ import annotations

import math
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.imaging.hu_curves import Curve, Quantity, through
from medcyclegan.io.table import read_table

_COLUMNS = ("hu", "value")
_RULE = "a curve is a CSV table with the columns hu and value, HU rising from row to row"

# Published curves of one quantity lie within 2 % of water at 0 HU; a curve in other units, or for
# another quantity, lies far off.
WATER_TOLERANCE = 0.05


def read_curve(path: Path) -> Curve:
    """Read the knots of a curve: straight lines join them.

    Raises
    ------
    InputRefused
        If the file is no such table: other columns, a cell that is no finite number, fewer than
        two rows, or HU that do not rise strictly. The message names the row, counted from 1.
    """
    table = read_table(path, rule=_RULE)
    if sorted(table.columns) != sorted(_COLUMNS):
        found = ", ".join(repr(name) for name in table.columns) or "none"
        raise InputRefused(
            f"{path}: columns {found}", rule=_RULE, remedy="make its first line: hu,value"
        )
    if len(table.rows) < 2:
        raise InputRefused(
            f"{path}: {len(table.rows)} row{'' if len(table.rows) == 1 else 's'} of numbers",
            rule="a curve needs two or more",
            remedy="give the knots of the curve, one in each row",
        )
    hu, values = (
        [_number(path, column, number, row) for number, row in enumerate(table.rows, start=1)]
        for column in _COLUMNS
    )
    for number in range(1, len(hu)):
        if hu[number] <= hu[number - 1]:
            raise InputRefused(
                f"{path}: row {number + 1} has {hu[number]:g} HU after {hu[number - 1]:g} HU",
                rule="HU rise strictly from row to row",
                remedy="sort the rows, and keep one for each HU",
            )
    return through(path.name, hu, values)


def water_warning(curve: Curve, quantity: Quantity) -> tuple[str, ...]:
    """Return a sentence if a curve gives water what water has not, else nothing."""
    found = float(curve.at(0.0))
    if abs(found - quantity.of_water) <= WATER_TOLERANCE * quantity.of_water:
        return ()
    return (
        f"{curve.name} gives {found:.4g} at 0 HU, where water has {quantity.of_water:g} "
        f"({quantity.title}, {quantity.unit}): check its unit and that it is for this quantity.",
    )


def _number(path: Path, column: str, number: int, row: dict[str, str]) -> float:
    text = row[column]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputRefused(
            f"{path}: row {number} has {column} {text!r}",
            rule="every cell is a finite number",
            remedy="write it with a decimal point, and without a unit",
        )
    return value
