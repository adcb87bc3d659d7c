"""Score a model from CT to T1 weighted MR on simulated heads that it was not trained on.

    python -m benchmarks.score_ct_mr --labels LABELMAPS --heads 13 14 15 16 --model head-ct-mr

The CT gets the noise of usual scans; the true T1 has its own noise and shading, so no clean image
equals it. Images are scaled and compared as by ``score_t1_t2``. Baseline: the CT with its histogram
matched to the T1 of the head after it.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.cards import put_scores
from benchmarks.heads import read_head
from benchmarks.score_head_mr_ct import simulate
from benchmarks.score_t1_t2 import figures, matched
from medcyclegan import load_model, synthesize
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.card import Score
from medcyclegan.simulate.label_heads.slabs import noisy_ct


def pair_of(labels: Path, number: int, *, prepared: Path | None) -> tuple[Volume, Volume]:
    """The noisy CT and the T1 of a head, 3 mm slices."""
    head = read_head(labels, number, prepared=prepared)
    made = simulate(head, slice_mm=3.0, seed=1000 + number)
    mr, ct = next((mr, ct) for name, mr, ct in made if name == "t1")
    noisy = noisy_ct(ct.voxels.transpose(2, 0, 1), np.random.default_rng(number))
    return ct.with_voxels(np.ascontiguousarray(noisy.transpose(1, 2, 0))), mr


def main() -> None:
    """Parse the arguments, score, print a row a head and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--heads", type=int, nargs="+", default=[13, 14, 15, 16])
    parser.add_argument("--prepared", type=Path, help="folder of heads kept by medcyclegan train")
    parser.add_argument("--model", default="head-ct-mr")
    parser.add_argument("--into", type=Path, help="model folder whose card gets the scores")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    pairs = {
        number: pair_of(arguments.labels, number, prepared=arguments.prepared)
        for number in arguments.heads
    }
    print("| head | method | PSNR dB | SSIM |")
    print("| --- | --- | --- | --- |")
    found: dict[str, list[tuple[float, float]]] = {"model": [], "histogram matching": []}
    for number, other in pairwise([*arguments.heads, arguments.heads[0]]):
        ct, mr = pairs[number]
        inside = body_mask_mr(mr).voxels > 0
        image = synthesize(Scan(ct, ItkSourceHeader(), Path(f"head {number}"), "CT"), model).image
        made = {
            "model": image,
            "histogram matching": matched(ct, body_mask_ct(ct), pairs[other][1]),
        }
        for method, volume in made.items():
            found[method].append(figures(volume, mr, inside))
            psnr, similarity = found[method][-1]
            print(f"| {number} | {method} | {psnr:.2f} | {similarity:.3f} |", flush=True)
    for method, rows in found.items():
        psnr, similarity = np.mean(rows, axis=0)
        print(f"| mean of {len(rows)} | {method} | {psnr:.2f} | {similarity:.3f} |")
    if arguments.into:
        psnr, similarity = np.mean(found["model"], axis=0)
        on = f"simulated T1, 3 mm slices, heads {arguments.heads}, not trained on"
        put_scores(
            arguments.into,
            (
                Score(measure="psnr_db", value=round(float(psnr), 2), unit="dB", on=on),
                Score(measure="ssim", value=round(float(similarity), 3), unit="", on=on),
            ),
        )


if __name__ == "__main__":
    main()
