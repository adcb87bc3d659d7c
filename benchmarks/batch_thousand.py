"""Run a batch of many small patients, and see whether memory and time per patient stay flat.

    python -m benchmarks.batch_thousand --patients 1000 --out DIR

Each is a ball of 24 x 24 x 12 voxels as .nii.gz, translated by a tiny untrained network in one
worker process. Printed: memory (resident, of the process and of its workers), wall and CPU time
per patient by tenths of the run, and the cost per patient of everything but the network: the CPU
time of all processes from the first finished patient to the last, less the CPU time that the
network takes alone, measured before. On a computer that is busy with other
things CPU time tells more than wall time.
"""

from __future__ import annotations

import argparse
import itertools
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.small_inputs import small_model, write_ball
from medcyclegan.cli.conversions import default_provenance
from medcyclegan.imaging.body_mask import body_mask_mr
from medcyclegan.imaging.preprocessing import prepare
from medcyclegan.imaging.resampling import AXIAL
from medcyclegan.inference.slab_orientation import Run, translated
from medcyclegan.inference.sliding_slabs import choose_device
from medcyclegan.io.read import read_scan
from medcyclegan.models.store import load_model
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.run import Order, run_batch
from medcyclegan.workflow.batch.workers import Crew
from medcyclegan.workflow.synthesize import Options


@dataclass(frozen=True)
class Sample:
    """What was seen when a patient ended: clocks in seconds, memory in MB."""

    wall_s: float
    cpu_s: float
    main_mb: float
    workers_mb: float


class Meter:
    """A watcher that takes a sample now and then."""

    def __init__(self, every: int) -> None:
        self.samples: list[Sample] = []
        self._every = every
        self._count = 0

    def planned(self, plan: Plan) -> None:
        """Say how many there are."""
        print(f"{len(plan.items)} patients", flush=True)

    def ended(self, row: Row) -> None:
        """Take a sample at the first and every some."""
        if self._count % self._every == 0:
            self.samples.append(self._look())
        self._count += 1

    def _look(self) -> Sample:
        here = psutil.Process()
        children = here.children(recursive=True)
        cpu = [p.cpu_times() for p in (here, *children)]
        return Sample(
            wall_s=time.perf_counter(),
            cpu_s=sum(times.user + times.system for times in cpu),
            main_mb=here.memory_info().rss / 2**20,
            workers_mb=sum(p.memory_info().rss for p in children) / 2**20,
        )


def main() -> None:
    """Make the patients, run the batch, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    root, count = arguments.out / "in", arguments.patients
    for n in range(count):
        write_ball(root / f"p{n:05d}" / "t1.nii.gz", shift=n / count)
    model = small_model(arguments.out / "small")
    network_ms = network_cpu_ms(root / "p00000" / "t1.nii.gz", model)
    meter = Meter(every=max(1, count // 10))
    order = Order(root, arguments.out / "sct", str(model), options=Options(device="cpu"))
    started = time.perf_counter()
    outcome = run_batch(order, Crew(workers=1), provenance=default_provenance(), watcher=meter)
    print(f"exit {int(outcome.exit_code)}, {time.perf_counter() - started:.0f} s with all starts")
    print(f"the network alone takes {network_ms:.1f} ms of CPU time a patient")
    show(meter.samples, every=max(1, count // 10), network_ms=network_ms)


def network_cpu_ms(path: Path, model_folder: Path, *, times: int = 50) -> float:
    """The CPU time of translating one prepared patient, without all that is around it."""
    model = load_model(model_folder)
    volume = read_scan(path, modality="MR").volume
    ready = prepare(volume, body_mask_mr(volume), model.task, normal=AXIAL)
    run = Run(choose_device("cpu"), None, nullcontext())
    translated(model, ready.values, run)
    started = time.process_time()
    for _ in range(times):
        translated(model, ready.values, run)
    return 1000.0 * (time.process_time() - started) / times


def show(samples: list[Sample], *, every: int, network_ms: float) -> None:
    """Print a line a tenth of the run, and the whole."""
    print("| patients | wall ms | CPU ms | but the network, CPU ms | main MB | worker MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    spans = [*itertools.pairwise(samples), (samples[0], samples[-1])]
    names = [f"{n * every} to {(n + 1) * every}" for n in range(len(spans) - 1)] + ["all"]
    for name, (a, b) in zip(names, spans, strict=True):
        n = every if name != "all" else every * (len(samples) - 1)
        wall, cpu = (
            1000.0 * (getattr(b, clock) - getattr(a, clock)) / n for clock in ("wall_s", "cpu_s")
        )
        print(
            f"| {name} | {wall:.1f} | {cpu:.1f} | {cpu - network_ms:.1f} "
            f"| {b.main_mb:.0f} | {b.workers_mb:.0f} |"
        )


if __name__ == "__main__":
    main()
