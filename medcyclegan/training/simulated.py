"""Simulated slab pairs as a data set for torch's loader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.simulate.slab_anatomy import draw_tissue
from medcyclegan.simulate.slab_grid import draw_grid
from medcyclegan.simulate.slab_sides import acquired_side, clean_side, draw_water
from medcyclegan.task import Domain, Window
from medcyclegan.training.pairs_config import PairsConfig


class SimulatedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Item n depends on the seed and n alone, so a resumed run sees what it would have seen.

    An item is one slab of tissue, acquired twice: source (2, depth, P, P) in [-1, 1], and the
    target that belongs to it, (2, depth, P, P), twice the same. What is acquired and what is
    learned is told by ``config.pairs``, how it is scaled by ``config.task``.
    """

    def __init__(self, heads: Sequence[HeadAnatomy], config: PairsConfig) -> None:
        self.heads = heads
        self.config = config

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        config, kinds = self.config, self.config.pairs
        rng = np.random.default_rng((config.seed, index))
        head = self.heads[int(rng.integers(len(self.heads)))]
        pixel_mm = config.task.spacing_mm
        assert pixel_mm is not None  # the settings have seen to it
        grid = draw_grid(rng, depth=config.task.depth, size_px=config.size_px, pixel_mm=pixel_mm)
        slab = draw_tissue(head, grid, rng)
        water = None if "ct" in (kinds.source, kinds.target) else draw_water(slab, rng)
        sources = [acquired_side(kinds.source, slab, water, rng) for _ in range(2)]
        target = clean_side(kinds.target, slab, water, rng)
        return (
            scale_side(np.stack(sources), config.task.source),
            scale_side(np.stack([target, target]), config.task.target),
        )


def scale_side(values: Field, domain: Domain) -> Tensor:
    """Clip and stretch to [-1, 1], as a scan is prepared; same shape.

    Where percentiles do that for scans, ``values`` are shares of the display range already.
    """
    if isinstance(domain.scaling, Window):
        lower, upper = domain.scaling.lower, domain.scaling.upper
        values = (values - lower) / (upper - lower)
    return torch.from_numpy(np.clip(values, 0.0, 1.0).astype(np.float32) * 2.0 - 1.0)
