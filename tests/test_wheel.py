"""SLOW, about 15 s: the wheel is built, holds all data, and works from where it is installed.

It is installed without its dependencies, which come from the environment of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import medcyclegan
from tests.cli.conversion_inputs import write_mr
from tests.tiny_model import tiny_folder

ROOT = Path(medcyclegan.__file__).parent.parent
# What a source tree needs to be built; README and LICENSE are named in pyproject.toml.
PARTS = ("medcyclegan", "configs", "pyproject.toml", "README.md", "LICENSE")


def python(
    *arguments: object, cwd: Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment,
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the tests run on an installed package, not on its sources")
    if find_spec("setuptools") is None:
        pytest.skip("building without a network needs setuptools in the environment")
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, tree / part)
    done = python(
        "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet",
        "--wheel-dir", out, tree, cwd=out,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed") / "site"
    done = python(
        "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", target, wheel,
        cwd=wheel.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return target


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
    ours = {name for name in names if ".dist-info/" not in name}
    assert ours == sources
    assert not any(name.startswith("tests") for name in names)
    assert any(name.endswith("dist-info/entry_points.txt") for name in names)


def test_the_installed_package_synthesizes(installed: Path, tmp_path: Path) -> None:
    head = write_mr(tmp_path / "head.nii.gz")
    where = python(
        "-c", "import medcyclegan; print(medcyclegan.__file__, medcyclegan.__version__)",
        cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert where.stdout.split() == [
        str(installed / "medcyclegan" / "__init__.py"), medcyclegan.__version__
    ]  # fmt: skip
    # The control: without the path, the package of the tests is found and not the installed one.
    elsewhere = python("-c", "import medcyclegan; print(medcyclegan.__file__)", cwd=tmp_path)
    assert str(installed) not in elsewhere.stdout

    model = tiny_folder(tmp_path / "tiny")
    done = python(
        "-m", "medcyclegan", "synth-ct", "--mri", head, "--model", model, "--report",
        "--device", "cpu", cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "head_sct.nii.gz").is_file()
    assert (tmp_path / "head_sct_report.html").is_file()
    shown = python("-m", "medcyclegan", "models", cwd=tmp_path, path=installed)
    assert shown.stdout.startswith("head-mr-ct")
