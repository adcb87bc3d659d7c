"""The share of the time in which the network runs, over a batch of phantom heads.

    python -m benchmarks.batch_overlap --heads 20 --spacing 1.5 --out DIR

Reading, preparing and writing of other heads go on while the network works. The share is the sum
of the network's wall time over the wall time from the first network's begin to the last one's end,
as the rows tell it; and, for comparison, over the time from the first read to the last write.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from medcyclegan.cli.conversions import default_provenance
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.run import Order, run_batch
from medcyclegan.workflow.batch.workers import Crew
from medcyclegan.workflow.synthesize import Options


class Stopwatch:
    """A watcher that notes when each head ended."""

    def __init__(self) -> None:
        self.ended_s: list[float] = []
        self.rows: list[Row] = []

    def planned(self, plan: Plan) -> None:
        """Say how many there are."""
        print(f"{len(plan.items)} heads", flush=True)

    def ended(self, row: Row) -> None:
        """Note the time."""
        self.ended_s.append(time.perf_counter())
        self.rows.append(row)
        steps = " ".join(f"{step} {s:.1f}" for step, s in row.seconds_by_step.items())
        print(f"{row.source} {row.status} {row.seconds} s: {steps}", flush=True)


def make_heads(root: Path, *, count: int, spacing_mm: float, dicom: bool) -> None:
    """Write phantoms, one a folder; every third as DICOM if asked for."""
    provenance = default_provenance()
    for n in range(count):
        folder = root / f"head{n:02d}"
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        mr = make_phantom(default_geometry(spacing_mm), contrast="t1", seed=n + 1).mr
        if dicom and n % 3 == 0:
            write_dicom_mr(
                mr,
                to=folder / "t1",
                description="t1",
                now=provenance.now(),
                new_uid=provenance.new_uid,
            )
        else:
            write_nifti(mr, source_header=ItkSourceHeader(), to=folder / "t1.nii.gz")


def main() -> None:
    """Make the heads, run the batch, print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--spacing", type=float, default=1.5, help="mm")
    parser.add_argument("--dicom", action="store_true", help="every third head as DICOM")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    root = arguments.out / "in"
    make_heads(root, count=arguments.heads, spacing_mm=arguments.spacing, dicom=arguments.dicom)
    watch = Stopwatch()
    options = Options(device=arguments.device)
    order = Order(root, arguments.out / "sct", options=options, overwrite=True)
    run_batch(
        order, Crew(workers=arguments.workers), provenance=default_provenance(), watcher=watch
    )
    first, last = watch.rows[0], watch.rows[-1]
    network_s = sum(row.seconds_by_step["network"] for row in watch.rows)
    # The first row's own time reaches back to its reading.
    all_s = watch.ended_s[-1] - (watch.ended_s[0] - (first.seconds or 0.0))
    ends_s = sum(first.seconds_by_step[step] for step in ("read", "body", "prepare"))
    ends_s += sum(last.seconds_by_step[step] for step in ("home", "write"))
    alone_s = sum(sum(row.seconds_by_step.values()) for row in watch.rows)
    print(f"network {network_s:.1f} s, first read to last write {all_s:.1f} s")
    print(f"share of the network {network_s / (all_s - ends_s) / arguments.workers:.1%}")
    print(f"with the first read and the last write {network_s / all_s / arguments.workers:.1%}")
    print(f"without any overlap it would be {network_s / alone_s:.1%}")


if __name__ == "__main__":
    main()
