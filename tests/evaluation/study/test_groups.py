"""Tables of groups: how they may be written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.patient import read_groups


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "groups.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "case,group\nP1,A\nP2,B\n",
        "group;case\nA;P1\nB;P2\n",
        "case,site\nP1,A\nP2, B \n",
        "case,age,group\nP1,61,A\nP2,70,B\n",
    ],
)
def test_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    assert read_groups(table(tmp_path, text)) == {"P1": "A", "P2": "B"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns"),
        ("patient,group\nP1,A\n", "patient, group"),
        ("case\nP1\n", "columns case"),
        ("case,site,sex\nP1,A,f\n", "several columns"),
        ("case,group\nP1,A\nP1,B\n", "two groups"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        read_groups(table(tmp_path, text))


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00case")
    for path in (tmp_path / "none.csv", tmp_path / "x.csv", tmp_path):
        with pytest.raises(InputRefused):
            read_groups(path)
