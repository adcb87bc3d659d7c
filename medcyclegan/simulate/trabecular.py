"""How much bone there is in bone: one density that the CT and the MR of a slab share.

The HU of bone and the signal of the marrow in it follow from one number, the share phi of
mineralised bone in a voxel. Drawn once a slab, it lets a network read the one off the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.head_variation import HeadVariation
from medcyclegan.simulate.slab_bone import Skull
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.teeth import METAL_SHARE
from medcyclegan.simulate.tissues import Tissue

# HU of a voxel that is bone to the last bit.
FULL_BONE_HU = 1900.0
# Standard deviations and scales of marrow spaces: their grain, and from place to place.
_GRAIN_SD, _GRAIN_MM = 0.10, (3.0, 8.0)
_PLACE_SD, _PLACE_MM = 0.06, 40.0
_LIMITS = (0.02, 0.9)
# Spongy bone of less than this varies by less, in proportion.
_USUAL_MEAN = 0.4
# Compact bone within a head, by its vessels: about 70 HU.
_COMPACT_SD, _COMPACT_MM = 0.037, 6.0


def draw_bone_share(
    part: NDArray[np.uint8], skull: Skull, varied: HeadVariation, grid: SlabGrid, rng: Rng
) -> Field:
    """Draw the share of bone, float32 (D * S, H, W); 0 far from bone.

    Marrow spaces have the mean of their part of the skull, ``part`` (D * S, H, W), and a grain;
    elsewhere it is that of compact bone.
    """
    place = skull.place
    mean = varied.marrow_share[part.reshape(-1)[place]]
    grain = grid.field(rng, rng.uniform(*_GRAIN_MM)).reshape(-1)[place] * np.float32(_GRAIN_SD)
    grain += grid.field(rng, _PLACE_MM).reshape(-1)[place] * np.float32(_PLACE_SD)
    marrow = np.clip(mean + grain * np.minimum(mean / np.float32(_USUAL_MEAN), 1.0), *_LIMITS)
    compact = np.where(skull.otic, np.float32(varied.otic_share), np.float32(varied.compact_share))
    compact += grid.field(rng, _COMPACT_MM).reshape(-1)[place] * np.float32(_COMPACT_SD)
    share = np.zeros(part.shape, dtype=np.float32)
    compact[skull.plate] = METAL_SHARE
    share.reshape(-1)[place] = np.where(skull.tissue == Tissue.MARROW, marrow, compact)
    return share


def bone_hu(share: Field | float, marrow_hu: float) -> Field:
    """Return the HU of bone by its share of a voxel: a mixture by volume, any shape."""
    return np.asarray(share * (FULL_BONE_HU - marrow_hu) + marrow_hu, dtype=np.float32)
