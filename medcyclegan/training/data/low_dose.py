"""Patches of slices at a low dose and without noise, as a data set for torch's loader."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.simulate.dose_slices import Slices, make_dose_slices
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.training.data.simulated import Key, SimulatedData, scale_side
from medcyclegan.training.sample import Sample

_log = logging.getLogger(__name__)


class DosePatches(Dataset[Sample]):
    """Item n depends on the seed and n alone: stacks of patches, noisy and noise-free.

    Both are (contrasts, depth, P, P) in [-1, 1], each stack from a place of its own; the slices of
    a stack are of one head, in any order, as their noise is independent.
    """

    def __init__(self, slices: tuple[Slices, Slices], config: SimulatedData, *, seed: int) -> None:
        self.low, self.limit = slices
        self.config = config
        self.seed = seed

    def __getitem__(self, key: Key) -> Sample:
        number, size = key if isinstance(key, tuple) else (key, self.config.size_px)
        config, count = self.config, self.config.contrasts
        rng = np.random.default_rng((self.seed, number))
        edges = (config.depth, size, size)
        sides = np.empty((2, count, *edges), np.float32)
        for stack in range(count):
            room = zip(self.low.shape, edges, strict=True)
            starts = [int(rng.integers(n - edge + 1)) for n, edge in room]
            cut = tuple(slice(n, n + edge) for n, edge in zip(starts, edges, strict=True))
            turns, step = int(rng.integers(4)), int(rng.choice((-1, 1)))
            for side, images in enumerate((self.low, self.limit)):
                sides[side, stack] = np.rot90(images[cut], turns, axes=(1, 2))[:, ::step]
        paired = torch.ones(count, dtype=torch.bool)
        a, b = scale_side(sides[0], config.a), scale_side(sides[1], config.b)
        return Sample(a, b, paired, torch.zeros_like(paired))


def dose_slices(
    heads: Sequence[HeadAnatomy], config: SimulatedData, path: Path | None, *, seed: int
) -> tuple[Slices, Slices]:
    """Return the slices kept at ``path`` (.npz), or make them and keep them there if it is given.

    Raises
    ------
    InputRefused
        If those at ``path`` are not as many as the settings ask for.
    """
    count = config.slices
    if path is not None and path.exists():
        with np.load(path) as kept:
            low, limit = kept["low"], kept["limit"]
        if len(low) != count:
            raise InputRefused(
                f"{path} holds {len(low)} slices",
                rule=f"the settings ask for {count}",
                remedy="delete it, or set data.slices to what it holds",
            )
        return low, limit
    _log.info("projecting %d slices", count)
    low, limit = make_dose_slices(heads, seed=seed, count=count)
    if path is None:
        return low, limit
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part.npz")
    np.savez_compressed(temporary, low=low, limit=limit)
    os.replace(temporary, path)
    return low, limit
