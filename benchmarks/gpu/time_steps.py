"""Time a training step of the reference recipe and of ours, and a whole head's inference.

    python -m benchmarks.gpu.time_steps

On one card, in under a minute. The reference is CycleGAN as published (see
``benchmarks.train_step_speed``), float32, batch 1. Ours are the CycleGAN of ``mr_ct`` and the
supervised training of ``head_mr_ct``, at the batch of the configuration and at larger ones. The
head is 176 x 256 x 256 voxels, translated by ``head-mr-ct`` as ``synth-ct`` does, mirror image
included, without reading, resampling and writing.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.train_step_speed import REFERENCE_PX, our_step, reference_step, slabs_a_step
from medcyclegan.inference.sliding_slabs import has_bfloat16, translate
from medcyclegan.models.store import load_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.losses import LossWeights
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

HEAD = (176, 256, 256)


def seconds_of(work: Callable[[], object], device: torch.device, *, repeats: int) -> float:
    """The median time of some calls after two that warm up."""
    times = []
    for repeat in range(repeats + 2):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if repeat > 1:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def time_steps(device: torch.device, *, repeats: int, slabs: list[int]) -> None:
    """Print a row for each recipe."""
    print("| recipe | slabs a step | ms a step | slabs/s | Mvoxels/s |")
    print("| --- | --- | --- | --- | --- |")

    def row(name: str, count: int, voxels: int, work: Callable[[], object]) -> None:
        taken = seconds_of(work, device, repeats=repeats)
        rate = count / taken
        print(
            f"| {name} | {count} | {1000 * taken:.1f} | {rate:.1f} | {rate * voxels / 1e6:.1f} |",
            flush=True,
        )

    row("CycleGAN as published", 1, REFERENCE_PX**2, reference_step(LossWeights(), device))
    for name in ("mr_ct", "head_mr_ct"):
        config = read_settings(find_config(name), TrainConfig)
        voxels = config.data.depth * config.data.size_px**2
        for count in sorted({slabs_a_step(config), *slabs}):
            row(name, count, voxels, our_step(config, device, slabs=count))


def time_head(device: torch.device, *, repeats: int) -> None:
    """Print how long a whole head takes."""
    model = load_model("head-mr-ct")
    values = torch.rand(HEAD, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0

    def work() -> None:
        for given in (values, values.flip(1)) if model.task.mirror else (values,):
            translate(
                model.generator,
                given,
                depth=model.task.depth,
                stride=model.task.stride,
                device=device,
            )

    print(f"head of {HEAD}: {seconds_of(work, device, repeats=repeats):.2f} s")


def main() -> None:
    """Parse the arguments, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--slabs", type=int, nargs="*", default=[32], help="larger batches")
    parser.add_argument("--no-head", action="store_true")
    given = parser.parse_args()
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, bfloat16: {has_bfloat16(device)}, torch {torch.__version__}")
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        time_steps(device, repeats=given.repeats, slabs=given.slabs)
        if not given.no_head:
            time_head(device, repeats=2)


if __name__ == "__main__":
    main()
