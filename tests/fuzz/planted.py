"""The control of the fuzzer: a worker like the other, whose target has faults that must be found.

By the number of the mutant it raises what is not ours, takes too much memory, ends the process,
tells the patient's name, leaves a file behind, or never ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medcyclegan.errors import InputRefused
from tests.dicom_factory import PATIENT_NAME
from tests.fuzz import worker

FAULTS = ("a foreign exception", "memory", "the end", "a name", "a file", "a hang", "none")


def fail(opened: Path, out: Path) -> None:
    """Do what the name of the output stands for; see ``worker.main``."""
    fault = FAULTS[int(out.name)]
    if fault == "a foreign exception":
        raise KeyError("planted")
    if fault == "memory":
        bytearray(2 * worker.MEMORY_LIMIT_BYTES)
    if fault == "the end":
        os._exit(7)
    if fault == "a name":
        raise InputRefused(f"{opened} of {PATIENT_NAME}", rule="none", remedy="none")
    if fault == "a file":
        (out.parent / ".left").touch()
    while fault == "a hang":
        pass


if __name__ == "__main__":
    worker.target, worker.outputs = fail, tuple(str(number) for number in range(len(FAULTS)))
    worker.TIME_LIMIT_S = 5.0
    worker.start(sys.argv[1:])
