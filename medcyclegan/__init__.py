"""medcyclegan: one kind of medical image into another with a 2.5D CycleGAN.

    from medcyclegan import load_model, read_scan, synthesize, write_scan

    scan = read_scan("head_t1.nii.gz")
    result = synthesize(scan, load_model("head-mr-ct"))
    write_scan(result.image, source_header=scan.source_header, to="head_t1_sct.nii.gz")

Research use only.
"""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medcyclegan.io.read import read_scan
    from medcyclegan.io.write import write_scan
    from medcyclegan.models.store import load_model
    from medcyclegan.training.run import train
    from medcyclegan.workflow.arrays import SynthesizeCTd, synthesize

try:
    __version__ = version("medcyclegan")
except PackageNotFoundError:  # a checkout that runs without being installed
    _text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    __version__ = str(tomllib.loads(_text)["project"]["version"])
__all__ = [
    "SynthesizeCTd",
    "__version__",
    "load_model",
    "read_scan",
    "synthesize",
    "train",
    "write_scan",
]

_HOME = {
    "SynthesizeCTd": "medcyclegan.workflow.arrays",
    "load_model": "medcyclegan.models.store",
    "read_scan": "medcyclegan.io.read",
    "synthesize": "medcyclegan.workflow.arrays",
    "train": "medcyclegan.training.run",
    "write_scan": "medcyclegan.io.write",
}


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for: torch takes seconds to load."""
    if name not in _HOME:
        raise AttributeError(f"module 'medcyclegan' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
