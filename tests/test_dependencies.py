"""What is installed is what is used: requirements, extras that are named where they lack."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.cli.conversion_inputs import Run
from tests.tiny_model import tiny_folder
from tests.workflow.test_derive import write_ct_series

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medcyclegan"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# How a requirement is imported, where that is not its own name.
IMPORTED_AS = {
    "pillow": {"PIL"},
    "pyyaml": {"yaml"},
    "scikit-image": {"skimage"},
    "distributed": {"distributed", "dask"},  # dask comes with it, of the same version
    "pydantic": {"pydantic", "pydantic_core"},  # likewise
    "python-gdcm": {"gdcm"},
}
# Modules, by the beginning of their paths, that need an extra.
NEED_EXTRAS = {
    "service/": "serve",
    "models/onnx_file.py": "export",
    "io/dicom/parametric_map.py": "maps",
}
# What of torch has come last, by the release that has it first: found in the wheels of torch 2.4 to
# 2.11, whose Python files either hold the name or do not.
FIRST_IN_TORCH = {
    "torch.OutOfMemoryError": "2.5",
    "torch.export.Dim.DYNAMIC": "2.6",
    "torch.cpu.get_capabilities": "2.11",
}


def names_of(requirements: list[str]) -> set[str]:
    """The names that packages of some requirements are imported by."""
    found: set[str] = set()
    for line in requirements:
        name = Requirement(line).name
        found |= IMPORTED_AS.get(name, {name})
    return found


def imported(source: str) -> Iterator[str]:
    """Top-level names that a module imports, or names in a text, as the plug-in "gdcm"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]
        elif isinstance(node, ast.Constant) and re.fullmatch(
            r"[a-z_]+(\.[a-z_]+)*", str(node.value)
        ):
            yield str(node.value).split(".")[0]


def sources() -> dict[str, str]:
    """Path below the package -> text."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in paths}


def wrong_imports(modules: dict[str, str], project: dict) -> list[str]:
    """Imports of what neither a plain installation nor the module's extra brings."""
    base, extras = names_of(project["dependencies"]), project["optional-dependencies"]
    ours = set(sys.stdlib_module_names) | base | {"medcyclegan"}
    wrong = []
    for path, text in modules.items():
        extra = next((e for start, e in NEED_EXTRAS.items() if path.startswith(start)), None)
        known = ours | (names_of(extras[extra]) if extra else set())
        statements = {
            alias.split(".")[0]
            for node in ast.walk(ast.parse(text))
            for alias in (
                [a.name for a in node.names] if isinstance(node, ast.Import)
                else [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        wrong += [f"{path}: {name}" for name in sorted(statements - known)]
    return wrong


def unused(modules: dict[str, str], requirements: list[str]) -> list[str]:
    """Requirements that no module imports or names."""
    used = {name for text in modules.values() for name in imported(text)}
    return [line for line in requirements if not names_of([line]) & used]


def test_all_that_is_imported_is_required() -> None:
    assert wrong_imports(sources(), PROJECT) == []


@pytest.mark.parametrize("extra", ["", "export", "maps", "serve"])
def test_all_that_is_required_is_used(extra: str) -> None:
    extras = PROJECT["optional-dependencies"]
    assert unused(sources(), extras[extra] if extra else PROJECT["dependencies"]) == []


def test_the_controls_an_import_and_a_requirement_too_many() -> None:
    odd = {"core/volume.py": "import pandas\n", "models/card.py": "def f():\n    import onnx\n"}
    assert wrong_imports(odd, PROJECT) == ["core/volume.py: pandas", "models/card.py: onnx"]
    assert wrong_imports({"models/onnx_file.py": "import onnx\n"}, PROJECT) == []
    assert unused({"core/volume.py": "import numpy"}, ["numpy>=1", "pandas"]) == ["pandas"]


def least_torch(project: dict) -> Version:
    """The lower bound of torch."""
    (torch,) = (r for r in map(Requirement, project["dependencies"]) if r.name == "torch")
    (bound,) = (s for s in torch.specifier if s.operator == ">=")
    return Version(bound.version)


def test_the_least_torch_has_all_that_is_used() -> None:
    text = "\n".join(sources().values())
    assert [name for name in FIRST_IN_TORCH if name not in text] == []
    assert least_torch(PROJECT) == max(map(Version, FIRST_IN_TORCH.values()))
    assert least_torch({"dependencies": ["torch>=2.4"]}) < Version("2.5")  # the control


EXTRAS = [
    (extra, package)
    for extra in ("export", "maps", "serve")
    for package in sorted(names_of(PROJECT["optional-dependencies"][extra]))
]


@pytest.mark.parametrize(("extra", "package"), EXTRAS)
def test_an_extra_that_lacks_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, package: str
) -> None:
    for name in [package, *(n for n in sys.modules if n.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "made"
    commands = {
        "export": lambda: ("export-onnx", tiny_folder(tmp_path / "m"), "--out", f"{out}.onnx"),
        "maps": lambda: (
            "derive", write_ct_series(tmp_path / "ct", "120"), "--to", "density", "--out", out,
            "--format", "dicom",
        ),
        "serve": lambda: ("serve", "--store", out, "--port", 0),
    }  # fmt: skip
    code, _, err = run(*commands[extra]())
    assert code == 2
    assert f"medcyclegan[{extra}]" in err
    assert package in err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("made")]
