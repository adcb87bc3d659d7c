"""How much longer --views 3 and --uncertainty take than a plain run, on one scan in one process.

    python -m benchmarks.views_time [--model head-mr-ct] [--mri head_t1.nii.gz] [--repeats 1]

Without a scan a phantom head of 2 mm is taken. Times are seconds of the processor for preparing,
network and blending, as other programs change the clock's; the ratio is what the docs tell.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.store import Model, load_model
from medcyclegan.simulate.phantom.head import make_phantom
from medcyclegan.workflow.synthesize import Options, synthesize

RUNS = {
    "plain": Options(device="cpu"),
    "--views 3": Options(device="cpu", views=3),
    "--uncertainty": Options(device="cpu", uncertainty=True),
}


def phantom() -> Scan:
    """A T1 of a phantom head of 2 mm, as if read from a file."""
    geometry = geometry_from_spacing((100, 125, 125), (2.0, 2.0, 2.0))
    subject = make_phantom(geometry, contrast="t1", seed=1)
    return Scan(subject.mr, ItkSourceHeader(), Path("phantom"), modality="MR")


def processor_s(scan: Scan, model: Model, options: Options, *, repeats: int) -> float:
    """Median of the processor's seconds."""
    taken = []
    for _ in range(repeats):
        before = time.process_time()
        synthesize(scan, model, options=options)
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--mri", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    model = load_model(given.model)
    scan = read_scan(given.mri, modality="MR") if given.mri else phantom()
    synthesize(scan, model, options=RUNS["plain"])  # what the first run of a process pays
    seconds = {
        name: processor_s(scan, model, options, repeats=given.repeats)
        for name, options in RUNS.items()
    }
    shape = " x ".join(map(str, scan.volume.geometry.shape))
    sys.stdout.write(f"{given.model}, {shape} voxels\n")
    for name, taken in seconds.items():
        ratio = taken / seconds["plain"]
        sys.stdout.write(f"{name:14} {taken:8.1f} s of the processor, {ratio:.1f} x\n")


if __name__ == "__main__":
    main()
