"""Patches of slices at a low dose and without noise, as a data set for torch's loader."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.simulate.dose_slices import Slices, make_dose_slices
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.training.pairs_config import PairsConfig
from medcyclegan.training.simulated import scale_side

log = logging.getLogger(__name__)


class DosePatches(Dataset[tuple[Tensor, Tensor]]):
    """Item n depends on the seed and n alone: two stacks of patches, noisy and noise-free.

    Both are (2, depth, P, P) in [-1, 1]; the slices of a stack are of one head, in any order, as
    their noise is independent.
    """

    def __init__(self, slices: tuple[Slices, Slices], config: PairsConfig) -> None:
        self.low, self.limit = slices
        self.config = config

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        task, size = self.config.task, self.config.size_px
        rng = np.random.default_rng((self.config.seed, index))
        edges = (task.depth, size, size)
        sides = np.empty((2, 2, *edges), np.float32)
        for stack in range(2):
            room = zip(self.low.shape, edges, strict=True)
            starts = [int(rng.integers(n - edge + 1)) for n, edge in room]
            cut = tuple(slice(n, n + edge) for n, edge in zip(starts, edges, strict=True))
            turns, step = int(rng.integers(4)), int(rng.choice((-1, 1)))
            for side, images in enumerate((self.low, self.limit)):
                sides[side, stack] = np.rot90(images[cut], turns, axes=(1, 2))[:, ::step]
        return scale_side(sides[0], task.source), scale_side(sides[1], task.target)


def dose_slices(
    heads: Sequence[HeadAnatomy], config: PairsConfig, path: Path
) -> tuple[Slices, Slices]:
    """Return the slices kept at ``path`` (.npz), or make them and keep them there.

    Raises
    ------
    InputRefused
        If those at ``path`` are not as many as the settings ask for.
    """
    count = config.pairs.slices
    if path.exists():
        with np.load(path) as kept:
            low, limit = kept["low"], kept["limit"]
        if len(low) != count:
            raise InputRefused(
                f"{path} holds {len(low)} slices",
                rule=f"the settings ask for {count}",
                remedy="delete it, or set pairs.slices to what it holds",
            )
        return low, limit
    log.info("projecting %d slices", count)
    low, limit = make_dose_slices(heads, seed=config.seed, count=count)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part.npz")
    np.savez_compressed(temporary, low=low, limit=limit)
    os.replace(temporary, path)
    return low, limit
