"""Simulated MR/CT slab pairs as a data set for torch's loader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.simulate.slab_anatomy import draw_tissue
from medcyclegan.simulate.slab_grid import draw_grid
from medcyclegan.simulate.slab_images import draw_contrast, render_ct, render_mr
from medcyclegan.task import Window


class SimulatedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Item n depends on the seed and n alone, so a resumed run sees what it would have seen.

    An item is one slab of tissue in two contrasts: MR (2, depth, P, P) in [-1, 1], and its CT
    (2, depth, P, P), twice the same, scaled by ``ct_window`` to [-1, 1].
    """

    def __init__(
        self,
        heads: Sequence[HeadAnatomy],
        *,
        seed: int,
        depth: int,
        size_px: int,
        pixel_mm: float,
        ct_window: Window,
    ) -> None:
        self.heads = heads
        self.seed = seed
        self.depth = depth
        self.size_px = size_px
        self.pixel_mm = pixel_mm
        self.ct_window = ct_window

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        head = self.heads[int(rng.integers(len(self.heads)))]
        grid = draw_grid(rng, depth=self.depth, size_px=self.size_px, pixel_mm=self.pixel_mm)
        slab = draw_tissue(head, grid, rng)
        contrasts = [render_mr(slab, signal=draw_contrast(rng), rng=rng) for _ in range(2)]
        mr = np.stack(contrasts)
        lower, upper = self.ct_window.lower, self.ct_window.upper
        ct = (render_ct(slab, rng) - lower) / (upper - lower)
        return _to_unit(mr), _to_unit(np.stack([ct, ct]))


def _to_unit(zero_to_one: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    """Clip to [0, 1] and stretch to [-1, 1], as the window of a prepared scan does."""
    return torch.from_numpy(np.clip(zero_to_one, 0.0, 1.0).astype(np.float32) * 2.0 - 1.0)
