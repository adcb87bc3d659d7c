"""SLOW, one to two minutes: the wheel works in a new environment, from any folder.

It is built and installed with its dependencies, as users do it; where no package index can be
reached, the tests skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import medcyclegan
from medcyclegan.models.store import shipped_models
from medcyclegan.training.shipped import shipped_configs
from tests.cli.conversion_inputs import write_mr

ROOT = Path(medcyclegan.__file__).parent.parent
# What a source tree needs to be built; README and LICENSE are named in pyproject.toml.
PARTS = ("medcyclegan", "configs", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment,
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def pip(python: str | Path, *arguments: object, cwd: Path) -> None:
    """Run pip; skip where no index answers."""
    done = run(python, "-m", "pip", *arguments, "--quiet", cwd=cwd)
    text = done.stdout[-2000:] + done.stderr[-2000:]
    if "No matching distribution" in text or "Could not find a version" in text:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, text


def copy_tree(tree: Path) -> None:
    """Copy what is needed to build, so that building leaves no traces in the sources."""
    tree.mkdir(exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, tree / part)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the tests run on an installed package, not on its sources")
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    copy_tree(tree)
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", out, tree, cwd=out)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a new environment with the wheel in it."""
    place = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(place, with_pip=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    pip(programs / "python", "install", "-c", constraints, wheel, cwd=wheel.parent)
    return programs


def test_the_wheel_holds_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "medcyclegan"
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"medcyclegan/py.typed"} < sources
    for ending in ("weights.safetensors", "card.json", ".html.j2"):
        assert any(name.endswith(ending) for name in names), ending
    sources |= {f"medcyclegan/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    ours = {name for name in names if ".dist-info/" not in name}
    assert ours == sources
    assert not any(name.startswith("tests") for name in names)
    assert any(name.endswith("dist-info/entry_points.txt") for name in names)


def test_the_installed_package_synthesizes(installed: Path, tmp_path: Path) -> None:
    head = write_mr(tmp_path / "head.nii.gz")
    where = run(
        installed / "python", "-c", "import medcyclegan; print(medcyclegan.__file__)", cwd=tmp_path
    )
    assert str(installed.parent) in where.stdout
    assert str(ROOT) not in where.stdout

    done = run(
        installed / "medcyclegan", "synth-ct", "--mri", head, "--report", "--device", "cpu",
        cwd=tmp_path,
    )  # fmt: skip
    # a ball is no head: it is written, and the card says why not to trust it
    assert done.returncode == 9, done.stderr
    assert "litres" in done.stderr
    assert (tmp_path / "head_sct.nii.gz").is_file()
    assert (tmp_path / "head_sct_report.html").is_file()
    listed = run(installed / "medcyclegan", "config", "list", cwd=tmp_path)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shipped_configs())
    config = run(installed / "medcyclegan", "config", "show", "mr_ct", cwd=tmp_path)
    assert config.stdout == (ROOT / "configs" / "mr_ct.yaml").read_text(encoding="utf-8")
    shown = run(installed / "medcyclegan", "models", cwd=tmp_path)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == sorted(shipped_models())


def test_an_editable_install_finds_the_configurations(tmp_path: Path) -> None:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the tests run on an installed package, not on its sources")
    tree = tmp_path / "tree"
    copy_tree(tree)
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip(python, "install", "--no-deps", "--editable", tree, cwd=tmp_path)
    # the finding itself needs no dependency
    code = "from medcyclegan.training.shipped import find_config; print(find_config('mr_ct'))"
    done = run(python, "-c", code, cwd=tmp_path)
    assert Path(done.stdout.strip()) == tree / "configs" / "mr_ct.yaml", done.stderr
