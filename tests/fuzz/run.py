"""Run mutants of a family in worker processes and report what went wrong.

python -m tests.fuzz.run nifti --count 20000 --seed 1
python -m tests.fuzz.run dicom --seed 1 --show 1234      (one mutant, its files kept)
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.families import FAMILIES, mutant
from tests.fuzz.seeds import write_files
from tests.fuzz.target import OUTPUTS, READ, REFUSED, try_one


@dataclass
class Tally:
    """What came of the mutants; ``wrong`` holds what was found by their numbers."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: dict[int, str] = field(default_factory=dict)
    slowest_s: float = 0.0
    peak_bytes: int = 0

    def add(self, number: int, outcome: str, *, cpu_s: float = 0.0, peak_bytes: int = 0) -> None:
        """Count the outcome of one mutant."""
        is_good = outcome in (READ, REFUSED)
        self.counts[outcome if is_good else "wrong"] += 1
        if not is_good:
            self.wrong[number] = outcome
        self.slowest_s = max(self.slowest_s, cpu_s)
        self.peak_bytes = max(self.peak_bytes, peak_bytes)


def fuzz(family: str, *, seed: int, count: int, jobs: int = 1, module: str = "worker") -> Tally:
    """Run ``count`` mutants; a worker that ends early is replaced behind the mutant at fault."""
    tally = Tally()
    with ThreadPoolExecutor(jobs) as pool:
        shares = [range(job, count, jobs) for job in range(jobs)]
        for _ in pool.map(lambda share: _work(family, seed, share, tally, module), shares):
            pass
    return tally


def _work(family: str, seed: int, numbers: range, tally: Tally, module: str) -> None:
    while numbers:
        arguments = [str(part) for part in (seed, numbers.start, numbers.stop, numbers.step)]
        with subprocess.Popen(
            [sys.executable, "-m", f"tests.fuzz.{module}", family, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as worker:
            assert worker.stdout is not None
            begun = None
            for line in worker.stdout:
                if line.startswith("{"):
                    told = json.loads(line)
                    tally.add(begun, **told)
                    begun = None
                else:
                    begun = int(line)
                    numbers = range(begun + numbers.step, numbers.stop, numbers.step)
            _, said = worker.communicate()
        if begun is not None:
            tally.add(begun, f"the process ended ({worker.returncode}): {said[-2000:]}")
        elif worker.returncode:
            raise RuntimeError(said)


def main() -> int:
    """Report one line for the family, and every mutant that went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", type=int, help="run this mutant alone and keep its files")
    given = parser.parse_args()
    if given.show is not None:
        return _show(given.family, given.seed, given.show)
    started = time.monotonic()
    tally = fuzz(given.family, seed=given.seed, count=given.count, jobs=given.jobs)
    for number, found in sorted(tally.wrong.items()):
        sys.stdout.write(f"--- {given.family} {given.seed} {number}\n{found}\n")
    sys.stdout.write(
        f"{given.family}, seed {given.seed}: {given.count} mutants, {tally.counts[READ]} read, "
        f"{tally.counts[REFUSED]} refused, {len(tally.wrong)} wrong; slowest "
        f"{tally.slowest_s:.2f} s of CPU, most memory {tally.peak_bytes / 2**20:.0f} MiB, "
        f"{given.count / (time.monotonic() - started):.0f} mutants a second\n"
    )
    return 1 if tally.wrong else 0


def _show(family: str, seed: int, number: int) -> int:
    shown = mutant(family, seed=seed, number=number)
    folder = Path(tempfile.mkdtemp(prefix="mutant."))
    write_files(shown.files, folder)
    with tempfile.TemporaryDirectory() as apart:
        outcome = try_one(shown, Path(apart), OUTPUTS[number % len(OUTPUTS)])
    sys.stdout.write(f"{shown.name}, {folder / shown.opened}\n{outcome}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
