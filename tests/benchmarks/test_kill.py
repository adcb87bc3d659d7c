"""Killed at random moments and run again; ``benchmarks/kill_conversions.py`` does it 50 times."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from benchmarks.kill_conversions import default_victims, make_inputs, run_kills, table
from benchmarks.killing import Unbroken, Victim, damaged, kill_once, run_unbroken

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
    pytest.mark.slow,
]

# Writes half of its output under the final name, waits, and ends well only the first time.
CARELESS = """
import sys, time
from pathlib import Path
target = Path(sys.argv[1], "sct.nii.gz")
with target.open("a") as file:
    file.write("half")
    file.flush()
    time.sleep(0.3)
    file.write("whole")
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("kills")
    make_inputs(work)
    return work


def test_nothing_is_damaged_and_the_rerun_makes_the_same_bytes(inputs: Path) -> None:
    write, write_over, convert, _ = default_victims(inputs)
    kills = run_kills([write, write_over], inputs, kills=6, seed=3)
    kills += run_kills([convert], inputs, kills=2, seed=4)
    assert [kill.faults for kill in kills] == [()] * 8
    # The control: the victims were killed while they ran.
    assert sum(kill.hit for kill in kills) >= 4
    assert "| write over a series | 3 |" in table(kills)


def test_a_careless_program_is_found_out(tmp_path: Path) -> None:
    victim = Victim("careless", (sys.executable, "-c", CARELESS, "{out}"))
    unbroken = run_unbroken(victim, tmp_path)
    chance = random.Random(1)
    kills = [kill_once(victim, unbroken, tmp_path / f"kill_{n}", chance) for n in range(4)]
    assert any("is damaged" in fault for kill in kills for fault in kill.faults)
    assert any("the rerun left" in fault for kill in kills for fault in kill.faults)


def test_what_counts_as_damaged() -> None:
    unbroken = Unbroken({"a/1": "old", "a/2": "old"}, {"a/1": "new", "b": "new"}, 1.0, 0.5)
    assert damaged({"a/1": "old", "a/2": "old"}, unbroken) == []
    assert damaged({"a/1": "new", ".a.part/1": "half"}, unbroken) == []
    assert damaged({}, unbroken) == []
    for found in ({"a/1": "old"}, {"a/1": "half"}, {"a/1": "new", "a/2": "old"}, {"c": "new"}):
        assert len(damaged(found, unbroken)) == 1
