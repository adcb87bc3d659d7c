"""Training and timing beside a GPU import no large library that such a machine may lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKED = ("SimpleITK", "gdcm", "dask", "distributed", "highdicom", "onnx", "pynetdicom")
HELP = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
sys.argv = ["a benchmark", "--help"]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["benchmarks.gpu.train", "benchmarks.gpu.time_steps"])
@pytest.mark.parametrize(("blocked", "code"), [(BLOCKED, 0), (("torch",), 1)])
def test_it_starts_without_them(module: str, blocked: tuple[str, ...], code: int) -> None:
    script = HELP.format(blocked=blocked, module=module)
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr[-2000:]
