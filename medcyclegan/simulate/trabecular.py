"""How much bone there is in bone: one density that the CT and the MR of a slab share.

The HU of bone and the signal of the marrow in it follow from one number, the share phi of
mineralised bone in a voxel. Drawn once a slab, it lets a network read the one off the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.head_variation import HeadVariation
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.tissues import Tissue

# HU of a voxel that is bone to the last bit.
FULL_BONE_HU = 1900.0
# Standard deviations and scales of marrow spaces: their grain, and from place to place.
_GRAIN_SD, _GRAIN_MM = 0.12, (3.0, 8.0)
_PLACE_SD, _PLACE_MM = 0.08, 40.0
_LIMITS = (0.02, 0.9)
# Compact bone, by its vessels and its age, within a head: about 90 HU.
_COMPACT_SD, _COMPACT_MM = 0.047, 6.0


def draw_bone_share(
    tissue: NDArray[np.uint8], part: NDArray[np.uint8], varied: HeadVariation, grid: SlabGrid,
    rng: Rng,
) -> Field:  # fmt: skip
    """Draw the share of bone, float32 (D * S, H, W): in marrow spaces, and elsewhere as compact.

    Marrow spaces have the mean of their part of the skull, ``part``, times a grain.
    """
    mean = varied.marrow_share[part]
    grain = grid.field(rng, rng.uniform(*_GRAIN_MM)) * np.float32(_GRAIN_SD)
    place = grid.field(rng, _PLACE_MM) * np.float32(_PLACE_SD)
    relative = np.minimum(mean / np.float32(0.4), 1.0)
    marrow = np.clip(mean + (grain + place) * relative, *_LIMITS)
    compact = varied.compact_share + grid.field(rng, _COMPACT_MM) * np.float32(_COMPACT_SD)
    return np.where(tissue == Tissue.MARROW, marrow, compact).astype(np.float32)


def bone_hu(share: Field | float, marrow_hu: float) -> Field:
    """Return the HU of bone by its share of a voxel: a mixture by volume, any shape."""
    return np.asarray(share * (FULL_BONE_HU - marrow_hu) + marrow_hu, dtype=np.float32)
