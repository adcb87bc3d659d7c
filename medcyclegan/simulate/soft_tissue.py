"""Tell what a label map calls soft tissue apart: skin, fat and muscle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.labelmaps import to_mm
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.tissues import Tissue


def split_soft_tissue(
    tissue: NDArray[np.uint8], maps: dict[str, NDArray[np.uint8]], grid: SlabGrid, rng: Rng
) -> NDArray[np.uint8]:
    """Tell skin, fat and muscle apart by depth below the skin and smooth fields."""
    soft = (tissue == Tissue.MUSCLE) | (tissue == Tissue.SKIN)
    depth = to_mm(maps["depth_below_skin"])
    fat_mm = rng.uniform(2.0, 9.0) + rng.uniform(0.5, 2.0) * grid.field(rng, 25.0)
    planes = grid.field(rng, rng.uniform(5.0, 14.0)) > rng.uniform(0.2, 1.5)
    orbit = (maps["orbit"] == 1) & (grid.field(rng, 5.0) > -0.8)
    fat = (depth < fat_mm) | planes | orbit
    split = np.where(fat, np.uint8(Tissue.FAT), np.uint8(Tissue.MUSCLE))
    split = np.where(depth < rng.uniform(0.8, 2.5), np.uint8(Tissue.SKIN), split)
    return np.where(soft, split, tissue)
