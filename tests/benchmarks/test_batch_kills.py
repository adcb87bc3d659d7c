"""A batch that is killed and run again ends as one that was not; the comparison sees damage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.batch_kills import differences
from benchmarks.small_inputs import Silent, small_model, write_ball
from medcyclegan.workflow.batch.run import run_batch
from medcyclegan.workflow.batch.workers import Crew, connected
from tests.workflow.batch.trees import ROOT, order, provenance

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A local cluster of one worker: starting takes seconds."""
    with connected(Crew()) as client:
        yield str(client.scheduler.address)  # type: ignore[union-attr]


def test_killed_at_any_moment_and_run_again_it_ends_the_same(tmp_path: Path, address: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.batch_kills", "--kills", "3", "--patients", "6",
         "--scheduler", address, "--out", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, check=False, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "different: none" in done.stdout


def test_a_damaged_output_is_seen_by_the_comparison_after_kills(
    tmp_path: Path, address: str
) -> None:
    """The control of the test above."""
    write_ball(tmp_path / "in" / "p1" / "t1.nii.gz")
    todo = order(tmp_path / "in", tmp_path / "a", small_model(tmp_path / "small"))
    crew = Crew(scheduler=address)
    outcome = run_batch(todo, crew, provenance=provenance(), watcher=Silent())
    assert differences(outcome, tmp_path / "a", tmp_path / "a") == []
    write_ball(tmp_path / "b" / "p1" / "t1_sct.nii.gz")
    assert differences(outcome, tmp_path / "a", tmp_path / "b") == ["p1/t1.nii.gz"]
