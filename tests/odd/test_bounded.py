"""Inputs that ask for much memory are refused without taking it, in a process that has little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.odd.bounded import CONTROL
from tests.odd.tables import FAMILIES


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit is that of Linux")
def test_no_case_takes_the_memory_that_it_asks_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.odd.bounded", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    broken = json.loads(done.stdout)
    wanted = {case.name for family in FAMILIES for case in family.cases if case.bounded}
    assert broken.keys() == wanted | {CONTROL, "limit"}
    assert len(wanted) >= 12
    assert {name: laws for name, laws in broken.items() if laws} == {}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--mri", "text.nii.gz"), 3, "it holds text"),
        (("--mri", "text.nii.gz", "--out", "none/x.nii"), 4, "parent folder"),
        (("--views", "2"), 2, "Error: "),
    ],
)
def test_a_real_process_ends_the_same_way(
    tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
) -> None:
    (tmp_path / "text.nii.gz").write_text("notes")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "medcyclegan", "synth-ct", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"text.nii.gz"}
