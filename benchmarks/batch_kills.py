"""Kill a batch at random moments, run it again, and compare with an unbroken run.

    python -m benchmarks.batch_kills --kills 50 --out DIR

Each kill is a SIGKILL to the process of the batch; its local workers end with it, those of a
``--scheduler`` go on. After every kill all outputs under final names are read. At the end the
voxels of all outputs must equal those of the unbroken run; the exit code is 1 if they do not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.small_inputs import Silent, small_model, write_ball
from medcyclegan.cli.conversions import default_provenance
from medcyclegan.io.read import read_scan
from medcyclegan.workflow.batch.run import Order, Outcome, run_batch
from medcyclegan.workflow.batch.workers import Crew
from medcyclegan.workflow.synthesize import Options


def make_inputs(folder: Path, *, count: int) -> tuple[Path, Path]:
    """Small patients, every fourth as DICOM, and a tiny model; returns both folders."""
    for n in range(count):
        name = "t1" if n % 4 == 3 else "t1.nii.gz"
        write_ball(folder / "in" / f"p{n:02d}" / name, shift=float(n))
    return folder / "in", small_model(folder / "small")


def in_child(order: Order, crew: Crew) -> int:
    """Start a batch in a process of its own, forked before any thread was started; its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        run_batch(order, crew, provenance=default_provenance(), watcher=Silent())
        code = 0
    finally:
        os._exit(code)


def kill_after(process: int, seconds: float) -> bool:
    """Kill a process after some time; returns whether it still ran then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def outputs(folder: Path) -> list[Path]:
    """All outputs under final names, files and folders of DICOM, without sidecars."""
    found = folder.glob("p*/*_sct*")
    return sorted(p for p in found if not p.name.startswith(".") and p.suffix != ".json")


def differences(outcome: Outcome, ours: Path, theirs: Path) -> list[str]:
    """Inputs whose output is missing or has other voxels than that of the unbroken run."""
    bad = [row.source for row in outcome.rows if row.status not in ("done", "skipped-up-to-date")]
    for row in outcome.rows:
        if row.source in bad:
            continue
        a, b = (read_scan(folder / row.output).volume for folder in (ours, theirs))
        if not (a.geometry.same_grid(b.geometry) and np.array_equal(a.voxels, b.voxels)):
            bad.append(row.source)
    return bad


def main() -> None:
    """Run once unbroken, then kill and go on as often as asked for, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    root, model = make_inputs(arguments.out, count=arguments.patients)
    crew = Crew(scheduler=arguments.scheduler)
    order = Order(root, arguments.out / "broken", str(model), options=Options(device="cpu"))
    whole = Order(root, arguments.out / "whole", str(model), options=Options(device="cpu"))
    chance = random.Random(arguments.seed)
    first = Order(root, arguments.out / "first", str(model), options=Options(device="cpu"))
    os.waitpid(in_child(first, crew), 0)  # workers of a cluster load torch only once
    started = time.monotonic()
    os.waitpid(in_child(whole, crew), 0)
    whole_s = time.monotonic() - started
    killed = 0
    for number in range(arguments.kills):
        hit = kill_after(in_child(order, crew), chance.uniform(0.3, 0.9) * whole_s)
        killed += hit
        whole_s *= 1.0 if hit else 0.6  # it was faster than the run that was timed
        for path in outputs(order.out):
            read_scan(path)  # raises if it is incomplete
        print(f"kill {number + 1}: {len(outputs(order.out))} outputs complete", flush=True)
        if len(outputs(order.out)) > arguments.patients // 2:  # or the next would end too soon
            for path in order.out.glob("p*/*.nii.gz"):
                path.unlink()
    outcome = run_batch(order, crew, provenance=default_provenance(), watcher=Silent())
    bad = differences(outcome, order.out, whole.out)
    print(f"{killed} of {arguments.kills} were killed while they ran; different: {bad or 'none'}")
    sys.exit(1 if bad or not killed else 0)


if __name__ == "__main__":
    main()
