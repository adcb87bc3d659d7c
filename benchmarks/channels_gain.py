"""What a second image of a subject gains: T1 with T2 to CT against T1 alone, after the same time.

    python -m benchmarks.channels_gain --labels LABELMAPS --prepared FOLDER --out RUNS --minutes 5

Both trainings are ``mr_ct_multi``, the second without the T2; both see the same anatomy in the same
order. The clock is the time that the process computes. They are validated on slabs of heads that
neither is trained on; prints the last validation of each.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path

import torch

from medcyclegan import __version__
from medcyclegan.training.checkpoint import LAST
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.config import LabelMaps
from medcyclegan.training.loop import Watcher, train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run import Request, prepare_job
from medcyclegan.training.run_folder import RunFolder
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

SOURCES = {"t1_t2": (), "t1": ("data.source=t1", "data.a.channels=[]")}
SHARED = ("workers=0", "panel_every=1000000", "panel_steps=[]", "log_every=25",
          "validate_every=100", "data.held_back=24", "validation_cases=24")  # fmt: skip


def main() -> None:
    """Train both, and print a row of a Markdown table for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0, help="of one core, each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    labels = LabelMaps(arguments.labels, arguments.heads, arguments.prepared)
    print("| source | core minutes | steps | MAE HU | PSNR dB | SSIM | bone Dice |")
    print("| --- " * 7 + "|")
    for source, own in SOURCES.items():
        changes = [*SHARED, *own, f"minutes={arguments.minutes}"]
        config = read_settings(find_config("mr_ct_multi"), TrainConfig, changes=changes)
        folder = RunFolder(arguments.out / source)
        resume = (folder.checkpoints / LAST).exists()
        request = Request(config, labels, folder, resume=resume)
        job = prepare_job(
            request, device=torch.device("cpu"), crew=Crew(), version=__version__, progress=None
        )
        train(replace(job, clock=time.process_time), resume=resume, watcher=Watcher())
        with folder.validation.open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        figures = [f"{float(last[n]):.4g}" for n in ("mae", "psnr_db", "ssim", "bone_dice")]
        minutes = float(last["seconds"]) / 60.0
        print(f"| {source} | {minutes:.1f} | {last['step']} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
