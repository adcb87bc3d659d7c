"""Imports only go down; rooms keep to their third parties; files and functions stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medcyclegan
from tests.architecture_rules import (
    APART,
    PACKAGE,
    ROOMS,
    broken_rules,
    circle_in,
    imports_of,
    modules,
    prints,
    room_of,
    too_large,
)
from tests.repeated_code import repeated

ALL = modules(Path(medcyclegan.__file__).parent)
TESTS = Path(__file__).parent
# Folders of tests that are of no package: of what lies beside it, and of inputs of one kind.
BESIDE = {"benchmarks", "data", "fuzz", "odd", "pipelines", "properties"}
# It measures the service by the nodes and pages that its tests are made of.
SHARED = {"benchmarks/serve_load.py"}


def test_every_module_has_a_room_and_every_room_a_module() -> None:
    rooms = {room_of(name) for name in ALL if name not in APART}
    assert rooms == set(ROOMS)


def test_a_room_that_is_not_in_the_table_is_named() -> None:
    with pytest.raises(KeyError, match=r"medcyclegan\.attic.*is in no room.*give it a floor"):
        room_of("medcyclegan.attic.box")


@pytest.mark.parametrize("name", sorted(ALL))
def test_imports_go_down_and_third_parties_are_those_allowed(name: str) -> None:
    broken = [rule for found in imports_of(name, ALL[name]) for rule in broken_rules(found)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("core.volume", "from medcyclegan.inference.view import x", "up from floor 1 to 4"),
        (
            "core.volume",
            "if TYPE_CHECKING:\n    from medcyclegan.io.scan import Scan",
            "up from floor",
        ),
        ("evaluation.metrics", "from medcyclegan.evaluation.report import x", "up from floor 3"),
        ("simulate.tissues", "import medcyclegan.networks.layers", "same floor"),
        ("io.scan", "import torch", "third parties of io"),
        ("io.scan", "from torch import Tensor", "third parties of io"),
        (
            "io.scan",
            "def f():\n    from medcyclegan.core.volume import Volume",
            "inside a function",
        ),
        ("cli.main", "import numpy", "third parties of cli"),
        ("imaging.body_mask", "import torch", "third parties of imaging"),
        ("io.nifti.image", "from medcyclegan.io.raster.image import x", "one format another"),
        ("models.card", "from medcyclegan.io.dicom.header import x", "past io.dicom.api"),
        ("core.geometry", "from medcyclegan import models", "up from floor 1"),
    ],
)
def test_a_made_up_module_that_breaks_a_rule_is_caught(name: str, text: str, rule: str) -> None:
    (found,) = imports_of(f"{PACKAGE}.{name}", text)
    (broken,) = broken_rules(found)
    assert rule in broken


def test_a_relative_import_belongs_to_no_room() -> None:
    (found,) = imports_of(f"{PACKAGE}.io.scan", "from .read import read_scan")
    with pytest.raises(KeyError, match="relative import"):
        broken_rules(found)


def test_made_up_modules_that_keep_the_rules_pass() -> None:
    for name, text in (
        ("cli.main", "def f():\n    import numpy\n    from medcyclegan.core.volume import Volume"),
        ("workflow.convert", "from medcyclegan.io.dicom.api import Derivation"),
        ("io.read", "from medcyclegan.io.dicom.read import read_dicom"),
        ("models.store", "import torch\nfrom medcyclegan.models.card import Card"),
        ("evaluation.report", "from medcyclegan.evaluation.metrics import score\nimport json"),
    ):
        for found in imports_of(f"{PACKAGE}.{name}", text):
            assert broken_rules(found) == []


def test_no_circle() -> None:
    edges = {
        name: {found.target for found in imports_of(name, text) if not found.lazy}
        for name, text in ALL.items()
        if name not in APART
    }
    own = {f"{name}": {t for t in targets if t in ALL} for name, targets in edges.items()}
    assert circle_in(own) == []
    assert sum(len(targets) for targets in own.values()) > 100  # the scan did see imports
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("name", sorted(ALL))
def test_files_and_functions_are_small_and_only_the_command_line_prints(name: str) -> None:
    assert too_large(name, ALL[name]) == []
    if name in APART or room_of(name) != "cli":
        assert not prints(ALL[name])


def test_too_much_is_caught() -> None:
    name = f"{PACKAGE}.core.volume"
    long_file = "x = 1\n" * 400
    long_function = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 39
    many = "def f(self, a, b, c, d, e, *, f, g): ..."
    command = '@click.command("x")\ndef f(a, b, c, d, e, f, g): ...'
    assert too_large(name, long_file) == [f"{name} has 400 lines"]
    assert too_large(name, long_function) == [f"{name}.f has 40 lines"]
    assert too_large(name, long_function[:-10]) == []
    assert too_large(name, many) == [f"{name}.f takes 7 parameters"]
    assert too_large(f"{PACKAGE}.cli.x", command) == []
    assert prints("def f():\n    print(1)")
    assert not prints("# print(1)\nclick.echo('print(')")


def test_no_six_lines_of_code_stand_twice() -> None:
    assert repeated(ALL) == []
    assert len(repeated(ALL, least=3)) > 10  # the search did see the code


TWIN = """
def mean_of(values, weights):
    total, count = 0.0, 0
    for value, weight in zip(values, weights, strict=True):
        if weight <= 0.0:
            continue
        total += value * weight
        count += weight
    return total / count
"""


def test_a_made_up_pair_is_found_and_what_is_no_code_is_not() -> None:
    found = repeated({"a": TWIN, "b": "import os\n" + TWIN.replace("mean_of", "other")})
    assert found == ["a:3 ~ b:4"]
    assert repeated({"a": TWIN + TWIN.replace("mean_of", "other")}) == ["a:3 ~ a:12"]
    commented = TWIN.replace("0.0, 0", "0.0,  0  # nothing yet\n")
    assert repeated({"a": TWIN, "b": commented}) == ["a:2 ~ b:2"]
    assert repeated({"a": TWIN, "b": TWIN.replace("value * weight", "value")}) == []
    for text in (
        "from a import (\n" + "".join(f"    name{n},\n" for n in range(9)) + ")\n",
        'def f{0}():\n    """' + "One line.\n" * 9 + '"""\n',
        "@option(\n" + "".join(f"    'a{n}',\n" for n in range(9)) + ")\ndef f{0}(): ...\n",
        "x{0} = [\n" + "    [\n    ],\n" * 9 + "]\n",
    ):
        assert repeated({"a": text.format(1), "b": text.format(2)}) == []


def test_reading_and_scoring_need_no_torch() -> None:
    code = (
        "import sys, medcyclegan.io.read, medcyclegan.io.write, medcyclegan.evaluation.metrics, "
        "medcyclegan.evaluation.report, medcyclegan.evaluation.study.run\n"
        "assert 'numpy' in sys.modules\n"
        "sys.exit(', '.join({'torch', 'monai'} & sys.modules.keys()) or 0)"
    )
    done = _python(code)
    assert done.returncode == 0, done.stderr
    control = _python("import sys, medcyclegan.networks.layers\n" + code)
    assert "torch" in control.stderr


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_tests_follow_the_packages_by_name() -> None:
    package = Path(medcyclegan.__file__).parent
    packages = {path.parent.relative_to(package).as_posix() for path in package.rglob("*.py")}
    tested = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    beside = {name for name in tested if name.split("/")[0] in BESIDE}
    assert tested - beside == packages


def crossing(path: str, text: str) -> bool:
    """Whether a file of tests imports a benchmark or a benchmark one of tests, but for what tests
    benchmarks."""
    if path.startswith("tests/benchmarks/"):
        return False
    other = "benchmarks" if path.startswith("tests/") else "tests"
    names = [
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    ]
    return any(name.split(".")[0] == other for name in names)


def test_tests_and_benchmarks_do_not_import_each_other() -> None:
    root = TESTS.parent
    files = [*TESTS.rglob("*.py"), *(root / "benchmarks").rglob("*.py")]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}
    assert {path for path, text in texts.items() if crossing(path, text)} == SHARED
    # The control: what would be found.
    assert crossing("benchmarks/a.py", "def f():\n    from tests.tiny_model import head_on")
    assert crossing("tests/core/test_a.py", "import benchmarks.heads")
    assert not crossing("tests/benchmarks/test_a.py", "import benchmarks.heads")
    assert not crossing("benchmarks/a.py", "from benchmarks.heads import read_head")
