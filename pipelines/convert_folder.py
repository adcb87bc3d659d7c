"""Turn every patient of a folder into a synthetic CT, on the processes of this computer.

    python pipelines/convert_folder.py PATIENTS SCT_FOLDER

Inputs that are refused are named with the reason; the others are done all the same. Run again, it
does what is missing or stale. ``medcyclegan batch`` does the same with more to say.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from pydicom.uid import generate_uid

from medcyclegan import __version__
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.run import Order, Outcome, run_batch
from medcyclegan.workflow.batch.workers import Crew
from medcyclegan.workflow.convert import Provenance


class Printer:
    """Prints what is done, as it is done."""

    def planned(self, plan: Plan) -> None:
        """Say the rule and how much there is to do."""
        print(f"{len(plan.items)} to do; {plan.rule}")

    def ended(self, row: Row) -> None:
        """Say how one input ended."""
        print(f"{row.source}: {row.status} {row.reason or row.output}", flush=True)


def convert_folder(source: Path, target: Path, crew: Crew) -> Outcome:
    """Convert all that is found below ``source`` into ``target``."""
    provenance = Provenance(
        version=__version__,
        now=lambda: datetime.now().astimezone(),
        new_uid=lambda: str(generate_uid()),
    )
    return run_batch(Order(root=source, out=target), crew, provenance=provenance, watcher=Printer())


if __name__ == "__main__":
    sys.exit(convert_folder(Path(sys.argv[1]), Path(sys.argv[2]), Crew(workers=1)).exit_code)
