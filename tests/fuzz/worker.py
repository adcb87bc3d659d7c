"""A process of its own that runs mutants, under a limit of memory and of time for each.

Started by ``tests.fuzz.run``. For each mutant it prints its number before, and one line of JSON
after, so that the parent knows which one ended the process.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.families import mutant, seeds_of
from tests.fuzz.target import OUTPUTS, read_and_write, try_one

MEMORY_LIMIT_BYTES = 2**30
# Of the processor; a mutant takes some milliseconds. A process that waits for others, or is stopped
# for a while, is no fault, so wall time is bounded by much more.
TIME_LIMIT_S = 20.0
WALL_TIME_LIMIT_S = 900.0

# What is done with a mutant, and as what it is written; ``tests.fuzz.planted`` has others.
target, outputs = read_and_write, OUTPUTS


def main(family: str, seed: int, numbers: range) -> None:
    """Run the mutants of these numbers and tell of each."""
    seeds_of(family)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGPROF, chain=True)  # where it was, and then it ends
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as folder:
        for number in numbers:
            _tell(str(number))
            faulthandler.dump_traceback_later(WALL_TIME_LIMIT_S, exit=True)
            signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT_S)
            before = time.process_time()
            damaged = mutant(family, seed=seed, number=number)
            name = outputs[number % len(outputs)]
            outcome = try_one(damaged, Path(folder), name, target)
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            faulthandler.cancel_dump_traceback_later()
            line = {"outcome": outcome, "cpu_s": time.process_time() - before}
            _tell(json.dumps(line | {"peak_bytes": _peak_bytes()}))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _peak_bytes() -> int:
    return max(_own_peak_kib(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024


def _own_peak_kib() -> int:
    """What this program took; Linux counts in ``getrusage`` what its parent held at the fork."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _quick_folder() -> str | None:
    """Memory, where there is such a folder: a disk would be flushed for every file written."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def start(arguments: list[str]) -> None:
    """Run what ``tests.fuzz.run`` asks for."""
    name, *rest = arguments
    seed, first, last, step = map(int, rest)
    main(name, seed, range(first, last, step))


if __name__ == "__main__":
    start(sys.argv[1:])
