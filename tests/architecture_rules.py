"""What the modules of the package may import and how long they may be; read by the test of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "medcyclegan"
APART = {PACKAGE, f"{PACKAGE}.__main__"}  # the top level's lazy exports, and python -m


@dataclass(frozen=True)
class Room:
    """``floor`` 0 is the lowest; ``lazy`` third parties are for imports in functions alone."""

    floor: float
    third_parties: frozenset[str] = frozenset()
    lazy: frozenset[str] = frozenset()


def _room(floor: float, third_parties: str = "", lazy: str = "") -> Room:
    return Room(floor, frozenset(third_parties.split()), frozenset(lazy.split()))


# A room is a folder or a file; the longest name that fits a module counts.
ROOMS = {
    "cli": _room(9, "click rich", lazy="rich numpy pydicom torch yaml"),
    "enhanced_files": _room(7.5, "numpy"),
    "batch": _room(8, "dask distributed filelock numpy pydantic torch"),
    "conversion": _room(7),
    "synthesis": _room(6, "numpy torch"),
    "request": _room(6),
    "beside": _room(6.5),
    "uncertainty": _room(5.8, "torch"),
    "view": _room(5.7, "torch"),
    "doubt": _room(5.6, "torch numpy scipy"),
    "translator": _room(5, "torch"),
    "training": _room(5.5, "torch pydantic numpy yaml monai skimage matplotlib tensorboardX"),
    "training.sample": _room(5, "torch"),
    "training.data": _room(5, "torch pydantic numpy monai"),
    "training.data.check": _room(5, "torch numpy matplotlib rich"),
    "product": _room(5),
    "outputs": _room(5, "numpy"),
    "intake": _room(5, "numpy"),
    "simulated_data": _room(4, "numpy"),
    "models": _room(4, "safetensors torch pydantic"),
    "evaluation.report": _room(4, "matplotlib jinja2 numpy"),
    "evaluation.picture": _room(4, "matplotlib jinja2 numpy"),
    "evaluation.contact_sheet": _room(4, "matplotlib numpy"),
    "evaluation.views": _room(4, "matplotlib jinja2 numpy"),
    "evaluation.columns": _room(4, "numpy"),
    "evaluation.pages": _room(4, "jinja2"),
    "evaluation.report_rows": _room(4, "numpy"),
    "evaluation.no_reference": _room(3, "numpy skimage"),
    "evaluation.viewer": _room(4, "numpy"),
    "evaluation.coarse": _room(4, "numpy"),
    "evaluation.study": _room(4, "matplotlib jinja2 numpy scipy"),
    "evaluation.metrics": _room(3, "numpy scipy skimage"),
    "evaluation.similarity": _room(3, "numpy scipy skimage"),
    "evaluation.__init__": _room(0),
    "io": _room(3, "nibabel pydicom gdcm numpy PIL"),
    "transforms": _room(3, "monai torch SimpleITK numpy"),
    "networks": _room(3, "torch pydantic monai"),
    "simulate": _room(3, "numpy scipy"),
    "enhancement": _room(3, "numpy skimage"),
    "foreground": _room(2.5, "numpy scipy skimage"),
    "plausibility": _room(2.5, "numpy"),
    "morphology": _room(2.4, "numpy scipy"),
    "volume": _room(2, "numpy"),
    "geometry": _room(1, "numpy"),
    "task": _room(1, "numpy pydantic"),
    "stopwatch": _room(0),
    "bounded_text": _room(0, "yaml"),
