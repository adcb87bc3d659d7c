"""Preloaded by a worker of a test: a series of the protocol ``poison`` kills who reads it."""

from __future__ import annotations

import os
import time
from typing import Any

from medcyclegan.workflow.batch import work

_open_scan = work.open_scan


def open_scan(request: Any, model: Any, *, provenance: Any) -> Any:
    """Read as ever, so slowly that another is in hand; but die of poison."""
    is_poison = b"poison" in request.files[0].read_bytes()[:2048]
    time.sleep(1.0)
    if is_poison:
        os._exit(1)
    return _open_scan(request, model, provenance=provenance)


work.open_scan = open_scan
