"""How long the network takes over a head, by how many pixels it is given at once.

    python -m benchmarks.batch_pixels [--model MODEL] [--threads N]

The same noise of the size of a head goes through the network in batches of several sizes, all in
each round; the table gives the median of the rounds, and its ratio to that of the batch that
``medcyclegan.inference.sliding_slabs`` takes on a CPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import torch

from medcyclegan import load_model
from medcyclegan.inference import sliding_slabs as translator
from medcyclegan.inference.slab_orientation import Run, translated

SHAPE = (60, 210, 170)
SIZES = (30_000, 75_000, 150_000, 400_000)
ROUNDS = 5


def main() -> None:
    """Parse the arguments, translate, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    values = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    run = Run(torch.device("cpu"), None, nullcontext())
    usual = translator.BATCH_PIXELS["cpu"]
    seconds: dict[int, list[float]] = {size: [] for size in sorted({*SIZES, usual})}
    for _ in range(ROUNDS):
        for size, taken in seconds.items():
            translator.BATCH_PIXELS["cpu"] = size
            started = time.perf_counter()
            translated(model, values, run)
            taken.append(time.perf_counter() - started)
    print("| pixels at once | seconds | ratio |")
    print("| --- | --- | --- |")
    reference = statistics.median(seconds[usual])
    for size, taken in seconds.items():
        median = statistics.median(taken)
        print(f"| {size} | {median:.2f} | {median / reference:.2f} |")


if __name__ == "__main__":
    main()
