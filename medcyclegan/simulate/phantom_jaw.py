"""The mandible and the two rows of teeth."""

from __future__ import annotations

import numpy as np

from medcyclegan.simulate.phantom_shapes import Ellipsoid, Labels, Mask, Part, Points, Tube, paint
from medcyclegan.simulate.tissues import Tissue

_BODY = Tube(
    ((46, 16, -104, 4.5), (37, 40, -112, 5.2), (22, 64, -117, 5.2), (0, 75, -118, 5.5)), flat=2.0
)
_RAMUS = Tube(((46, 14, -106, 5), (48, 8, -84, 4.5), (49, -4, -56, 5.0)))
_RAMUS_FRONT = Tube(((45, 22, -104, 4.5), (48, 18, -80, 3.6), (50, 18, -58, 2.4)))
_RAMUS_PLATE = Ellipsoid((48, 12, -85), (4.0, 13, 22), pitch_deg=-10)

_BONES = (
    *(Part(s, Tissue.CORTICAL_BONE) for s in (_BODY, _RAMUS, _RAMUS_FRONT, _RAMUS_PLATE)),
    *(Part(s, Tissue.MARROW, grow_mm=-1.9) for s in (_BODY, _RAMUS, _RAMUS_PLATE)),
)

# Both rows stand on one arch, a half ellipse open to the back: (half width, depth), mm.
_ARCH_CENTRE_Y = 34.0
_ARCH = (26.0, 41.0)
_ROW_LOW_MM, _ROW_HIGH_MM = -109.0, -84.0
_BITE_MM = -97.0
_TEETH = 7.5


def paint_jaw(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write the mandible and the teeth into ``labels`` (n,) where allowed."""
    if not points.overlaps((0, -20, -135), (60, 95, -45)):
        return
    paint(_BONES, points, labels, allowed=allowed)
    _paint_teeth(points, labels, allowed=allowed)


def _paint_teeth(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Cut the arch at equal angles into teeth that taper to their roots."""
    u = points.side_x / np.float32(_ARCH[0])
    v = (points.y - np.float32(_ARCH_CENTRE_Y)) / np.float32(_ARCH[1])
    norm = np.sqrt(u * u + v * v) + np.float32(1e-6)
    across = np.abs(norm - 1.0) * np.float32(30.0)
    turn = np.arctan2(np.maximum(v, 0), u)
    pitch = np.float32(np.pi / 2 / _TEETH)
    beside = np.abs(np.mod(turn, pitch) / pitch - 0.5)
    height = np.abs(points.z - np.float32(_BITE_MM))
    taper = np.clip(1.35 - height / 13.0, 0.0, 1.0)
    row = (points.z > _ROW_LOW_MM) & (points.z < _ROW_HIGH_MM) & (v > -0.1)
    tooth: Mask = row & (across < 4.6 * taper) & (beside < 0.45 * taper) & (height > 0.4)
    labels[tooth & allowed] = Tissue.TOOTH
