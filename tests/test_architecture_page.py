"""The table of floors in docs/architecture.md says what the rules say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.architecture_rules import ROOMS, Room

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
# How the page calls packages that are imported by another name.
CALLED = {"pillow": "PIL", "scikit-image": "skimage"}
INSIDE_FUNCTIONS = "inside functions"


@dataclass(frozen=True)
class Row:
    """A row of the table: the rooms that it names, and the third parties that it allows them."""

    floor: int
    rooms: tuple[str, ...]
    third_parties: frozenset[str]
    lazy: frozenset[str]


def rows_of(page: str, rooms: dict[str, Room]) -> list[Row]:
    """The rows of the table of floors."""
    packages = {name for room in rooms.values() for name in room.third_parties | room.lazy}

    def named(cell: str) -> frozenset[str]:
        words = re.findall(r"[\w-]+", re.sub(r"`[^`]*`", "", cell))
        return frozenset(CALLED.get(word, word) for word in words) & packages

    rows = []
    for floor, where, parties in re.findall(
        r"^\| (\d+) \| ([^|]*) \| [^|]* \| ([^|]*) \|$", page, re.M
    ):
        names = re.findall(r"`([^`]+)`", where)
        parent = names[0].rpartition(".")[0]
        always, _, lazy = parties.partition(INSIDE_FUNCTIONS)
        full = tuple(parent + name if name.startswith(".") else name for name in names)
        rows.append(Row(int(floor), full, named(always), named(lazy)))
    return rows


def differences(page: str, rooms: dict[str, Room]) -> list[str]:
    """Where the table and the rules differ; a room without a row belongs to that of its parent."""
    rows = rows_of(page, rooms)
    named = {name: row for row in rows for name in row.rooms}
    found = [f"{name} is in no rule" for name in named if name not in rooms]
    parties: dict[Row, tuple[set[str], set[str]]] = {row: (set(), set()) for row in rows}
    for name, room in rooms.items():
        above = [n for n in named if name == n or name.startswith(f"{n}.")]
        if not above:
            found.append(f"{name} is not in the table")
            continue
        row = named[max(above, key=len)]
        if row.floor != room.floor:
            found.append(f"{name} is on floor {room.floor}, in the table on {row.floor}")
        parties[row][0].update(room.third_parties)
        parties[row][1].update(room.lazy)
    for row, (always, lazy) in parties.items():
        for told, used in ((row.third_parties, always), (row.lazy, lazy)):
            found += [f"{row.rooms[0]}: {one}" for one in sorted(told ^ used)]
    return found


def test_the_table_is_that_of_the_rules() -> None:
    assert differences(PAGE.read_text(encoding="utf-8"), ROOMS) == []


def test_the_controls_of_each_kind_of_difference() -> None:
    page = (
        "| floor | packages | what they do | third parties |\n"
        "| --- | --- | --- | --- |\n"
        "| 2 | `a`, `a.b` | things | pillow, numpy; inside functions torch |\n"
        "| 1 | `c.d`, `.e` | things | none |\n"
    )
    both = frozenset({"numpy", "PIL"})
    rules = {
        "a": Room(2, both, frozenset({"torch"})),
        "a.b": Room(2),
        "a.f": Room(2, frozenset({"numpy"})),
        "c.d": Room(1),
        "c.e": Room(1),
    }
    assert differences(page, rules) == []
    assert differences(page, {**rules, "g": Room(0)}) == ["g is not in the table"]
    assert differences(page, {n: r for n, r in rules.items() if n != "a.b"}) == [
        "a.b is in no rule"
    ]
    assert differences(page, {**rules, "a.f": Room(1)}) == ["a.f is on floor 1, in the table on 2"]
    assert differences(page, {**rules, "a.b": Room(2, frozenset({"scipy"}))}) == ["a: scipy"]
    assert differences(page, {**rules, "c.d": Room(1, frozenset({"numpy"}))}) == ["c.d: numpy"]
    assert differences(page.replace("torch", "none"), rules) == ["a: torch"]
