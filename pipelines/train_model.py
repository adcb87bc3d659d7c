"""Train one of the shipped models on simulated pairs, and export it.

    python pipelines/train_model.py --labels LABELMAPS --config head_t1_t2 --out runs/head-t1-t2

Goes on from the last checkpoint in the run folder, if there is one. The label maps are NIfTI files
with FreeSurfer's and SynthSeg's labels; ``--heads`` says which of them, in the order of their
names, are trained on. To prepare them takes minutes: with ``--prepared FOLDER`` they are kept
there, and found again by other trainings.

Configurations: head_mr_ct, head_ct_mr, head_t1_t2, head_t2_t1, head_ct_denoise, or a file of
one's own.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
from pathlib import Path

import numpy as np
import torch
from medcyclegan.training.dose_patches import DosePatches, dose_slices
from medcyclegan.training.pairs import PairsRun, train_on_pairs
from medcyclegan.training.pairs_config import PairsConfig, read_config
from medcyclegan.training.simulated import SimulatedPairs
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan import __version__, read_scan
from medcyclegan.models.card import Card, DataSource, Training
from medcyclegan.models.store import save_model
from medcyclegan.simulate.labelmaps import HeadAnatomy, prepare_head
from medcyclegan.training.shipped import find_config
from medcyclegan.volume import Volume


def read_heads(labels: Path, *, count: int, prepared: Path | None) -> list[HeadAnatomy]:
    """Read the first ``count`` label maps of a folder, prepared now or before."""
    paths = sorted(labels.glob("*.nii.gz"))[:count]
    if len(paths) < count:
        raise SystemExit(f"{labels} holds {len(paths)} label maps (*.nii.gz), not {count}")
    heads = []
    for number, path in enumerate(paths, start=1):
        kept = prepared / f"head_{number:02d}.npz" if prepared else None
        if kept is None or not kept.exists():
            logging.info("preparing %s", path.name)
            heads.append(prepare(path))
            if kept is not None:
                keep(heads[-1], kept)
        else:
            with np.load(kept) as found:
                heads.append(HeadAnatomy(found["maps"], tuple(found["spacing_mm"].tolist())))
    return heads


def prepare(path: Path) -> HeadAnatomy:
    """Read and prepare one label map."""
    volume = read_scan(path).volume
    return prepare_head(Volume(volume.voxels, volume.geometry, "label"))


def keep(head: HeadAnatomy, path: Path) -> None:
    """Write a prepared head under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part.npz")
    np.savez_compressed(temporary, maps=head.maps, spacing_mm=np.asarray(head.spacing_mm))
    os.replace(temporary, path)


def data_for(
    config: PairsConfig, heads: list[HeadAnatomy], out: Path
) -> Dataset[tuple[Tensor, Tensor]]:
    """The simulated pairs that a configuration asks for."""
    if config.pairs.source == "low_dose_ct":
        return DosePatches(dose_slices(heads, config, out / "slices.npz"), config)
    return SimulatedPairs(heads, config)


def make_card(
    run: PairsRun, *, config_name: str, data: DataSource, hours: float, threads: int
) -> Card:
    """Describe what was trained; scores are added when they have been measured."""
    config, text = run.config, run.config.card
    return Card(
        name=text.name,
        version=__version__,
        summary=text.summary,
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
            machine=f"CPU, bfloat16; threads: {threads}, processes that simulate: {config.workers}",
            method=text.method,
        ),
        scores=(),
        intended_use=text.intended_use,
        limits=text.limits,
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--heads", type=int, default=12, help="how many of them to train on")
    parser.add_argument("--prepared", type=Path, help="folder that prepared label maps are kept in")
    parser.add_argument("--config", required=True, help="name of a configuration, or a file")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--threads", type=int, default=1, help="cores for the network")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if (arguments.out / "model").exists():
        parser.error(f"{arguments.out / 'model'} is there already: move it, or take another --out")
    torch.set_num_threads(arguments.threads)
    path = find_config(arguments.config, on_pairs=True)
    config = read_config(path)
    run = PairsRun(config)
    if (arguments.out / "last.pt").exists():
        run.load(arguments.out / "last.pt")
    heads = read_heads(arguments.labels, count=arguments.heads, prepared=arguments.prepared)
    train_on_pairs(run, data_for(config, heads, arguments.out), arguments.out)
    data = DataSource(
        name=f"SynthSeg training label maps, heads 1 to {arguments.heads}",
        licence="Apache-2.0",
        use=config.card.anatomy,
    )
    hours = hours_of(arguments.out / "losses.csv")
    card = make_card(run, config_name=path.name, data=data, hours=hours, threads=arguments.threads)
    save_model(arguments.out / "model", card=card, weights=run.averaged_weights())
    logging.info("exported to %s", arguments.out / "model")


if __name__ == "__main__":
    main()
