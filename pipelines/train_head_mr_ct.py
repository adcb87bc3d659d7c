"""Train the shipped model head-mr-ct from whole-head label maps, and export it.

    python pipelines/train_head_mr_ct.py --labels LABELMAPS --out runs/head-mr-ct

Goes on from the last checkpoint in the run folder, if there is one. The label maps are NIfTI files
with FreeSurfer's and SynthSeg's labels; ``--heads`` says which of them, in the order of their
names, are trained on.
"""

from __future__ import annotations

import argparse
import csv
import logging
from pathlib import Path

import torch

from medcyclegan import __version__, read_scan
from medcyclegan.models.card import Card, DataSource, Training
from medcyclegan.models.store import save_model
from medcyclegan.simulate.labelmaps import HeadAnatomy, prepare_head
from medcyclegan.training.pairs import PairsRun, train_on_pairs
from medcyclegan.training.pairs_config import PairsConfig, read_config
from medcyclegan.training.simulated import SimulatedPairs
from medcyclegan.volume import Volume


def read_heads(folder: Path, *, count: int) -> list[HeadAnatomy]:
    """Read and prepare the first ``count`` label maps of a folder."""
    paths = sorted(folder.glob("*.nii.gz"))[:count]
    volumes = (read_scan(path).volume for path in paths)
    return [prepare_head(Volume(v.voxels, v.geometry, "label")) for v in volumes]


def make_card(run: PairsRun, *, config_name: str, data: DataSource, hours: float) -> Card:
    """Describe what was trained; scores are added when they have been measured."""
    config = run.config
    return Card(
        name="head-mr-ct",
        version=__version__,
        summary="Head MR of any contrast to synthetic CT in HU",
        task=config.task,
        generator=config.generator,
        weights_sha256="0" * 64,
        training=Training(
            data=(data,),
            simulated=True,
            config=config_name,
            seed=config.seed,
            steps=run.step,
            hours=round(hours, 2),
            machine="one CPU core for training and one for simulation, bfloat16",
            method="L1 and L2 loss on simulated MR/CT pairs of random contrast; moving average of "
            "the weights; no adversarial and no cycle loss",
        ),
        scores=(),
        intended_use="Research on synthetic CT from head MR. Not for diagnosis or treatment.",
        limits=(
            "Trained on simulated images only: fine bone (ethmoid, mastoid, skull base) and "
            "anything unlike healthy adult anatomy may be wrong.",
            "Implants, metal, open skulls, contrast agent and large lesions were not trained on.",
            "A head that fills the field of view without air around it may be normalised badly.",
        ),
        licence="Apache-2.0",
    )


def hours_of(losses: Path) -> float:
    """Add up the time of all parts of a run from its log, where each part counts from zero."""
    with losses.open(newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    parts = [a for a, b in zip(seconds, [*seconds[1:], 0.0], strict=True) if b <= a]
    return sum(parts) / 3600.0


def main() -> None:
    """Parse the arguments, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--heads", type=int, default=12, help="how many of them to train on")
    parser.add_argument("--config", type=Path, default=Path("configs/head_mr_ct.yaml"))
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--threads", type=int, default=1, help="cores for the network")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    config: PairsConfig = read_config(arguments.config)
    run = PairsRun(config)
    checkpoint = arguments.out / "last.pt"
    if checkpoint.exists():
        run.load(checkpoint)
    pairs = SimulatedPairs(
        read_heads(arguments.labels, count=arguments.heads),
        seed=config.seed,
        depth=config.task.depth,
        size_px=config.size_px,
        pixel_mm=config.task.spacing_mm,
        ct_window=config.task.target_window,
    )
    train_on_pairs(run, pairs, arguments.out)
    data = DataSource(
        name=f"SynthSeg training label maps, heads 1 to {arguments.heads}",
        licence="Apache-2.0",
        use="anatomy from which MR and CT were simulated",
    )
    hours = hours_of(arguments.out / "losses.csv")
    card = make_card(run, config_name=arguments.config.name, data=data, hours=hours)
    save_model(arguments.out / "model", card=card, weights=run.averaged_weights())
    logging.info("exported to %s", arguments.out / "model")


if __name__ == "__main__":
    main()
