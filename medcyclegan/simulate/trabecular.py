"""How much bone there is in marrow spaces: one density that the CT and the MR of a slab share.

The HU of trabecular bone and the signal of the marrow in it follow from one number, the share phi
of bone in a voxel. Drawn once a slab, it is what lets a network read the one off the other.
"""

from __future__ import annotations

import numpy as np

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.slab_grid import Rng, SlabGrid

# Share of bone in the diploe of the vault: CT of 520 to 1130 HU at mid-depth of thick vaults.
VAULT_MEAN = (0.25, 0.62)
# Standard deviations and scales of its variation: the grain, and from region to region.
_GRAIN_SD, _GRAIN_MM = 0.12, (3.0, 8.0)
_REGIONAL_SD, _REGIONAL_MM = 0.08, 40.0
_LIMITS = (0.02, 0.9)


def draw_trabecular(grid: SlabGrid, rng: Rng) -> Field:
    """Draw the share of bone in marrow spaces, float32 (D * S, H, W), of all samples."""
    grain = grid.field(rng, rng.uniform(*_GRAIN_MM)) * np.float32(_GRAIN_SD)
    region = grid.field(rng, _REGIONAL_MM) * np.float32(_REGIONAL_SD)
    return np.clip(np.float32(rng.uniform(*VAULT_MEAN)) + grain + region, *_LIMITS)
