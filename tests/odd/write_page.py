"""Write the tables of ``docs/odd-inputs.md`` from the cases that the tests run.

python -m tests.odd.write_page
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.odd.case import Case, Family
from tests.odd.tables import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "odd-inputs.md"
START = "<!-- The tables are made by tests/odd/write_page.py from the tests' cases. -->\n"
END = "<!-- End of the tables. -->\n"


def with_tables(page: str) -> str:
    """Return a page with its tables made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + tables() + END + after


def tables() -> str:
    """Return all tables in Markdown, a section for each family."""
    return "\n" + "\n".join(_table(family) for family in FAMILIES) + "\n"


def _table(family: Family) -> str:
    rows = Counter(_row(case) for case in (family.control, *family.cases))
    lines = [f"### {family.title}", "", "| input | what medcyclegan does | exit code |"]
    lines.append("| --- | --- | --- |")
    for (name, does, code), count in rows.items():
        tried = f" ({count} cases)" if count > 1 else ""
        lines.append(f"| {_cell(name)}{tried} | {_cell(does)} | {code} |")
    return "\n".join(lines) + "\n"


def _row(case: Case) -> tuple[str, str, int]:
    return case.row or case.name, case.does, int(case.code)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
