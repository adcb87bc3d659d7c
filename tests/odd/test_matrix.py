"""Every row of the tables of odd inputs holds, and the laws that hold for all of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from medcyclegan.errors import ExitCode
from medcyclegan.io.leftovers import sidecar_path
from tests.cli.conversion_inputs import tree_hash
from tests.odd.case import Case, Family, run_case
from tests.odd.laws import broken_laws
from tests.odd.tables import FAMILIES
from tests.tiny_model import tiny_folder

EVERY = [(family, case) for family in FAMILIES for case in family.cases]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, Path]:
    """What the good NIfTI file and the good series are converted to, by the names in checks."""
    made = {}
    for name, family in (("control.nii.gz", FAMILIES[0]), ("series.nii.gz", FAMILIES[2])):
        folder = tmp_path_factory.mktemp("control")
        (folder / "in").mkdir()
        good = family.control
        assert run_case(good, good.make(folder / "in"), folder, model).code == ExitCode.DONE
        made[name] = folder / good.out
    return made


def hold(case: Case, folder: Path, model: Path) -> None:
    """Run a case and see that all laws hold."""
    for name in ("in", "out", "temporary"):
        (folder / name).mkdir()
    source = case.make(folder / "in")
    before = tree_hash(folder / "in")
    outcome = run_case(case, source, folder / "out", model)
    assert broken_laws(case, source, outcome) == []
    assert tree_hash(folder / "in") == before, "the input was touched"
    assert list((folder / "temporary").iterdir()) == [], "temporary files are left"
    out = folder / "out" / case.out
    beside = sidecar_path(out)
    made = {path.name for path in (out, beside) if path and case.code == ExitCode.DONE}
    assert {path.name for path in (folder / "out").iterdir()} == made
    if case.check is not None:
        case.check(source, out)


@pytest.mark.parametrize("case", [case for _, case in EVERY], ids=lambda case: case.name)
def test_the_row_holds(
    case: Case,
    tmp_path: Path,
    model: Path,
    controls: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name, path in controls.items():
        (tmp_path / name).symlink_to(path)
    hold(case, tmp_path, model)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.title)
def test_the_control_of_each_family_is_converted(
    family: Family, tmp_path: Path, model: Path
) -> None:
    """Else a program that refuses everything would pass."""
    assert family.control.code == ExitCode.DONE
    hold(family.control, tmp_path, model)
