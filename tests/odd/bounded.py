"""A process of its own that runs, with little memory, the cases that ask for much.

Started by ``tests/odd/test_bounded.py`` with an empty folder. It prints a JSON object: what came of
each case by name, and whether the limit holds.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from medcyclegan.io.leftovers import sidecar_path
from tests.odd.case import Case, run_case
from tests.odd.laws import broken_laws
from tests.odd.tables import FAMILIES
from tests.tiny_model import tiny_folder

# What reading may take beyond the program and its libraries. A deflated DICOM file may grow to
# 512 MiB, which zlib holds twice for a moment.
EXTRA_BYTES = 1280 * 2**20
CONTROL = "control"


def main(folder: Path) -> dict[str, list[str]]:
    """Return the laws that each case breaks, by its name."""
    model = tiny_folder(folder / "model")
    _run(FAMILIES[0].control, folder / "before", model)  # loads what is loaded late
    limit = _address_space_bytes() + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    broken = {CONTROL: _run(FAMILIES[0].control, folder / "after", model)}
    cases = [case for family in FAMILIES for case in family.cases if case.bounded]
    for number, case in enumerate(cases):
        broken[case.name] = _run(case, folder / str(number), model)
    try:
        bytearray(2 * EXTRA_BYTES)
        broken["limit"] = ["there is none"]
    except MemoryError:
        broken["limit"] = []
    return broken


def _run(case: Case, folder: Path, model: Path) -> list[str]:
    source_folder, out = folder / "in", folder / "out"
    source_folder.mkdir(parents=True)
    out.mkdir()
    source = case.make(source_folder)
    outcome = run_case(case, source, out, model)
    broken = broken_laws(case, source, outcome)
    named = {out / case.out, sidecar_path(out / case.out)}
    return broken + [f"{path.name} is left" for path in out.iterdir() if path not in named]


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    told = json.dumps(main(Path(sys.argv[1])))
    sys.stdout.write(f"{told}\n")
