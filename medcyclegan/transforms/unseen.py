"""Keep of a CT what a network did not see, where its output is in HU like its input.

A CT that is only denoised must not lose the couch, the arms outside the box around the body, or the
HU of metal because a network knows nothing of them.
"""

from __future__ import annotations

import numpy as np

from medcyclegan.transforms.prepare import Prepared
from medcyclegan.transforms.resample import to_geometry
from medcyclegan.volume import Volume

# Below any noise around air (-1000): what scanners put outside their circle of reconstruction.
PADDING_HU = -1500.0
# Interpolated ones are ones but for the rounding of float32.
WHOLE = 1.0 - 1e-3


def keep_unseen(made: Volume, seen: Prepared, source: Volume) -> Volume:
    """Put ``source`` back where the network had no part in ``made``, both HU on one grid.

    That is off the grid ``seen``; above its window, where all values look alike to the network; and
    where there is padding in place of an image. Along the border of the grid, where a voxel lies
    partly on it, the two are mixed by that part.
    """
    ones = Volume(np.ones(seen.geometry.shape, np.float32), seen.geometry, "mask")
    share = np.array(to_geometry(ones, source.geometry, fill=0.0).voxels)
    share[share > WHOLE] = 1.0
    share[(source.voxels > seen.window.upper) | (source.voxels < PADDING_HU)] = 0.0
    mixed = share * made.voxels + (1.0 - share) * source.voxels
    return made.with_voxels(mixed.astype(np.float32))
