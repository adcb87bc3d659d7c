"""The CT of a slab of tissue, in HU."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.slab_anatomy import TissueSlab
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import Tissue, column
from medcyclegan.simulate.trabecular import bone_hu

_HU, _HU_SD = column("hu"), column("hu_sd")
# HU of the marrow between trabeculae, red to yellow.
_MARROW_HU = (-20.0, 40.0)
# Compact bone and marrow spaces where they are but a part of a sample.
_COMPACT_SHARE, _MARROW_SHARE = 0.9, 0.4
# The scanner's point spread in the plane, standard deviation in pixels.
_SPREAD_PX = (0.45, 0.75)


def render_ct(slab: TissueSlab, rng: Rng) -> Field:
    """Return the CT of a slab in HU, float32 (D, H, W), without noise: what is to be learned."""
    hu = _HU + 0.5 * _HU_SD * rng.standard_normal(len(Tissue))
    marrow_hu = float(rng.uniform(*_MARROW_HU))
    hu[Tissue.CORTICAL_BONE] = bone_hu(_COMPACT_SHARE, marrow_hu)
    hu[Tissue.MARROW] = bone_hu(_MARROW_SHARE, marrow_hu)
    values = hu.astype(np.float32)[slab.tissue]
    bone = np.isin(slab.tissue, (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.TOOTH))
    np.copyto(values, bone_hu(slab.trabecular, marrow_hu), where=bone)
    ct = slab.grid.average_sub_slices(slab.mix(values, hu))
    sigma = rng.uniform(*_SPREAD_PX)
    return np.asarray(ndimage.gaussian_filter(ct, (0.0, sigma, sigma)), dtype=np.float32)
