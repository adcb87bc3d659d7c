"""The CT of a slab of tissue, in HU."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.slab_anatomy import TissueSlab
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import Tissue, column

_HU, _HU_SD = column("hu"), column("hu_sd")
# HU of a voxel full of bone, and of one full of marrow, red to yellow.
_BONE_HU = 1900.0
_MARROW_HU = (-20.0, 40.0)
# Compact bone of the skull, between subjects, and within one, over _COMPACT_MM.
_COMPACT_HU = (1500.0, 1950.0)
_COMPACT_SD_HU, _COMPACT_MM = 90.0, 6.0


def render_ct(slab: TissueSlab, rng: Rng) -> Field:
    """Return the CT of a slab in HU, float32 (D, H, W), without noise: what is to be learned."""
    hu = _HU + 0.5 * _HU_SD * rng.standard_normal(len(Tissue))
    hu[Tissue.CORTICAL_BONE] = rng.uniform(*_COMPACT_HU)
    values = slab.paint(hu)
    compact = slab.tissue == Tissue.CORTICAL_BONE
    texture = slab.grid.field(rng, _COMPACT_MM) * np.float32(_COMPACT_SD_HU)
    values = np.where(compact, values + texture, values)
    marrow = trabecular_hu(slab.trabecular, float(rng.uniform(*_MARROW_HU)))
    values = np.where(slab.tissue == Tissue.MARROW, marrow, values)
    ct = slab.grid.average_sub_slices(values)
    sigma = rng.uniform(0.45, 0.75)
    return np.asarray(ndimage.gaussian_filter(ct, (0.0, sigma, sigma)), dtype=np.float32)


def trabecular_hu(share: Field, marrow_hu: float) -> Field:
    """Return the HU of marrow spaces by their share of bone: a mixture by volume, any shape."""
    return np.asarray(share * (_BONE_HU - marrow_hu) + marrow_hu, dtype=np.float32)
