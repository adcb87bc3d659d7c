"""What the tests of the phantom share: grids, subjects and groups of tissues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.simulate.phantom.anatomy import Anatomy, draw_anatomy
from medcyclegan.simulate.phantom.head import label_points
from medcyclegan.simulate.tissues import BONE_TISSUES, Tissue

BONE = BONE_TISSUES
BRAIN = (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)

# A slab through the lateral ventricles, 2 mm: brain, skull, scalp and the left marker.
SLAB = Geometry(
    (92, 120, 10),
    np.array([[2.0, 0, 0, -91], [0, 2.0, 0, -119], [0, 0, 2.0, 18], [0, 0, 0, 1]]),
)


def anatomy(seed: int) -> Anatomy:
    return draw_anatomy(np.random.default_rng(seed))


def labels_on(geometry: Geometry, subject: Anatomy) -> NDArray[np.uint8]:
    index = np.stack(np.indices(geometry.shape), axis=-1).reshape(-1, 3).astype(np.float64)
    labels, _ = label_points(geometry.to_world(index), anatomy=subject)
    return labels.reshape(geometry.shape)
