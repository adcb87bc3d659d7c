"""Turn every patient of a folder into a synthetic CT, on the jobs of a SLURM cluster.

    python pipelines/convert_on_slurm.py PATIENTS SCT_FOLDER --jobs 4 --option cores=8 ...

Needs dask-jobqueue. ``--cluster`` takes any of its classes, or ``distributed.LocalCluster`` to try
the script on one computer. Run again, it does what is missing or stale.
"""

from __future__ import annotations

import argparse
import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# Scripts of a folder find each other however they are started.
sys.path.insert(0, str(Path(__file__).parent))
from convert_folder import convert_folder

from medcyclegan.workflow.batch.workers import Crew


def parse_option(text: str) -> tuple[str, Any]:
    """Understand ``name=value``; the value is a number, list or truth value if it reads as one."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> int:
    """Start the workers, convert, and let the workers go; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patients", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cluster", default="dask_jobqueue.SLURMCluster", help="module.Class")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--option", type=parse_option, action="append", default=[])
    arguments = parser.parse_args()
    module, _, name = arguments.cluster.rpartition(".")
    cluster_class = getattr(import_module(module), name)
    with cluster_class(**dict(arguments.option)) as cluster:
        cluster.scale(arguments.jobs)
        crew = Crew(scheduler=cluster.scheduler_address)
        return int(convert_folder(arguments.patients, arguments.out, crew).exit_code)


if __name__ == "__main__":
    sys.exit(main())
