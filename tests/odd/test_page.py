"""The page about odd inputs tells what the tests hold."""

from __future__ import annotations

from tests.odd.tables import FAMILIES
from tests.odd.write_page import END, PAGE, START, tables, with_tables


def test_the_page_is_in_step_with_the_cases() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(START) == page.count(END) == 1
    assert with_tables(page) == page, "run: python -m tests.odd.write_page"


def test_a_page_that_lags_behind_is_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    old = page.replace(FAMILIES[0].cases[0].name, "something else", 1)
    assert with_tables(old) != old


def test_there_are_cases_enough_and_each_has_a_name_of_its_own() -> None:
    cases = [case for family in FAMILIES for case in family.cases]
    assert len(cases) >= 120
    assert len({case.name for case in cases}) == len(cases)
    assert tables().count("\n| ") >= 120
