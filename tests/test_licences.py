"""The table of licences is that of the pinned packages, and nothing under the GPL ships."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
_ROW = re.compile(r"^\| `([^`]+)` \| (yes|no) \| (.+) \|$", re.MULTILINE)
# As words of a licence's name: "GPL-3.0-only", "LGPLv2+", "GNU Affero General Public License".
_COPYLEFT = re.compile(r"\b[AL]?GPL|GNU (Lesser |Affero |Library )?General Public", re.IGNORECASE)


def pinned() -> set[str]:
    """The names in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.split("==")[0]) for line in lines if "==" in line}


def test_each_pin_stands_once_in_the_order_of_names() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = [canonicalize_name(line.split("==")[0]) for line in lines if "==" in line]
    assert names == sorted(set(names))


def licence_of(found: Distribution) -> str:
    """What a package's metadata say: the expression, else the classifiers, else the first line."""
    if expression := found.metadata.get("License-Expression"):
        return str(expression)
    classifiers = found.metadata.get_all("Classifier") or []
    named = [c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: OSI Approved ::")]
    if named:
        return ", ".join(named)
    return (found.metadata.get("License") or "not told").strip().splitlines()[0]


def needed_to_run() -> set[str]:
    """The names of what a plain installation brings, with all that it needs in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    queue, found = [Requirement(line) for line in project["dependencies"]], set()
    while queue:
        name = canonicalize_name(queue.pop().name)
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # needed elsewhere, as the libraries of CUDA
        found.add(name)
        wanted = [Requirement(line) for line in needs]
        queue += [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def table() -> dict[str, tuple[str, str]]:
    """Package -> (needed to run, licence), as docs/dependencies.md has it."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    return {canonicalize_name(name): (run, licence) for name, run, licence in _ROW.findall(text)}


def test_every_pinned_package_is_in_the_table_and_no_other() -> None:
    assert set(table()) == pinned()


@pytest.mark.parametrize("name", sorted(pinned()))
def test_the_table_says_what_the_metadata_say(name: str) -> None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    needed = "yes" if name in needed_to_run() else "no"
    assert table()[name] == (needed, licence_of(found))


def test_what_ships_is_pinned_and_not_under_the_gpl() -> None:
    ships = needed_to_run()
    # Packages of the system and of the virtual environment are not ours to pin.
    assert ships - pinned() - {"setuptools"} == set()
    assert {"torch", "pydicom", "fsspec"} <= ships  # the control: those of those, too
    assert [n for n in ships if _COPYLEFT.search(licence_of(distribution(n)))] == []


@pytest.mark.parametrize(
    ("licence", "is_copyleft"),
    [("GPL-3.0-only", True), ("LGPLv2+", True), ("GNU Affero General Public License v3", True),
     ("GNU Lesser General Public License v2 (LGPLv2)", True), ("AGPL-3.0", True), ("MIT", False),
     ("BSD-3-Clause AND 0BSD", False), ("Mozilla Public License 2.0 (MPL 2.0)", False)],
)  # fmt: skip
def test_copyleft_is_told_by_name(licence: str, is_copyleft: bool) -> None:
    assert bool(_COPYLEFT.search(licence)) == is_copyleft
