"""A label map of a ball-shaped head: scalp, skull with marrow, brain, one eye, an airway."""

from __future__ import annotations

import numpy as np

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume

GRID = geometry_from_spacing((32, 34, 30), (4.0, 4.0, 4.0))
SOFT, BONE, MARROW, BRAIN, EYE = 507, 515, 516, 2, 506


def head_labels(geometry: Geometry = GRID) -> Volume:
    """Labels of FreeSurfer and SynthSeg on any grid, the same in space."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    radius = np.sqrt((world**2).sum(axis=-1))
    labels = np.zeros(geometry.shape, dtype=np.float32)
    for outer, label in ((54.0, SOFT), (44.0, BONE), (38.0, MARROW), (36.0, BONE), (30.0, BRAIN)):
        labels[radius < outer] = label
    labels[np.sqrt(((world - (25.0, 40.0, 0.0)) ** 2).sum(axis=-1)) < 8.0] = EYE
    airway = (np.abs(world[..., 0]) < 10.0) & (world[..., 1] > 44.0)
    labels[airway & (np.abs(world[..., 2]) < 18.0) & (radius < 51.0)] = 0
    return Volume(labels, geometry, "label")
