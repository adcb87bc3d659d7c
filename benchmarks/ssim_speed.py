"""Time the SSIM of the evaluation against scikit-image's, on a head-sized pair of volumes.

Run from the repository root: ``OMP_NUM_THREADS=1 python -m benchmarks.ssim_speed``. Both are timed
in this one process, on float32 voxels, the best of three runs each; the mask is everything, which
is the slowest case for ours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from skimage.metrics import structural_similarity

from medcyclegan.evaluation.similarity import ssim

SHAPE = (256, 256, 200)
DATA_RANGE = 4024.0


def best_of_three(compute: Callable[[], float]) -> tuple[float, float]:
    """Return the result and the shortest of three durations in seconds."""
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        result = compute()
        durations.append(time.perf_counter() - start)
    return result, min(durations)


def main() -> None:
    """Print both results, both times, and their ratio."""
    rng = np.random.default_rng(0)
    ref = np.clip(rng.normal(1000.0, 300.0, SHAPE), 0.0, DATA_RANGE).astype(np.float32)
    pred = np.clip(ref + rng.normal(0.0, 100.0, SHAPE), 0.0, DATA_RANGE).astype(np.float32)
    mask = np.ones(SHAPE, dtype=np.bool_)

    def library() -> float:
        _, full = structural_similarity(ref, pred, data_range=DATA_RANGE, full=True)
        return float(full[3:-3, 3:-3, 3:-3].mean(dtype=np.float64))

    ours, ours_s = best_of_three(lambda: ssim(pred, ref, mask, data_range=DATA_RANGE))
    theirs, theirs_s = best_of_three(library)
    sys.stdout.write(
        f"medcyclegan   {ours:.9f}  {ours_s:.2f} s\n"
        f"scikit-image  {theirs:.9f}  {theirs_s:.2f} s\n"
        f"ratio         {theirs_s / ours_s:.1f}\n"
    )


if __name__ == "__main__":
    main()
