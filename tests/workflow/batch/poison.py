"""Preloaded by the workers of a test: an input named ``poison`` kills the process that reads it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from medcyclegan.workflow.batch import work

_open_scan = work.open_scan


def open_scan(request: Any, model: Any, *, provenance: Any) -> Any:
    """Read as ever, but die of poison, and be slow where a test needs time to act."""
    if "poison" in str(request.source):
        os.kill(os.getpid(), signal.SIGKILL)
    if "slow" in str(request.source):
        time.sleep(0.5)
    return _open_scan(request, model, provenance=provenance)


work.open_scan = open_scan
