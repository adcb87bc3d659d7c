"""Where eyes and ears of a label map are: the frame in which regions of the skull are told apart.

Label maps name eyes and brain stem but no ear. The ear canals lie some 71 mm behind the middle of
the eyes, towards the brain stem, and 20 mm below that line, as measured in 16 heads; where the map
shows the air of a canal near there, its middle is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.tissues import Tissue

Array = NDArray[np.float64]

BRAIN_STEM = 16
_MIN_EYES_APART_MM = 45.0
# The ear canal from the middle of the eyes: along the line to the brain stem, and above it.
_EAR_BACK_MM, _EAR_UP_MM = 71.0, -20.0
# Where the air of a canal is looked for: this far from there, and this far from the midline.
_SEARCH_MM, _CANAL_LATERAL_MM = 13.0, (48.0, 66.0)
_FEWEST_CANAL_VOXELS = 20
# The inner ear lies medially of the canal; from the midline.
OTIC_LATERAL_MM = 38.0


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """Landmarks in millimetres of R, A, S from voxel (0, 0, 0) of a map.

    ``eyes`` is the point midway between them; ``back`` and ``up`` are unit vectors of the sagittal
    plane, towards the ears and square to that; ``ears`` (2, 3) are the ear canals, left and right,
    on the lateral side of the inner ears.
    """

    eyes: Array
    back: Array
    up: Array
    ears: Array

    def lateral_back_up(
        self, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Millimetres to the right, (i, 1, 1), backwards and upwards of the eyes, (1, j, k)."""
        right, front, above = (
            (np.arange(n) * mm - zero).astype(np.float32)
            for n, mm, zero in zip(shape, spacing_mm, self.eyes, strict=True)
        )
        plane = np.stack(np.broadcast_arrays(front[None, :, None], above[None, None, :]), axis=-1)
        back, up = (plane @ axis[1:].astype(np.float32) for axis in (self.back, self.up))
        return right[:, None, None], back, up


def find_frame(
    labels: NDArray[np.int32],
    tissue: NDArray[np.uint8],
    inner_air: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> HeadFrame | None:
    """Find the landmarks of a map (i, j, k) in R, A, S order; None if it has not two eyes.

    ``labels`` are those of the map, ``inner_air`` is air that is not around the head.
    """
    mm = np.asarray(spacing_mm)
    globes = np.argwhere(tissue == Tissue.EYE_FLUID)
    if len(globes) == 0 or np.ptp(globes[:, 0]) * mm[0] < _MIN_EYES_APART_MM:
        return None
    eyes = (globes.min(axis=0) + globes.max(axis=0)) / 2.0 * mm
    stem = np.argwhere(labels == BRAIN_STEM)
    back = np.array([0.0, -1.0, 0.0])
    if len(stem):
        back[1:] = (stem.mean(axis=0) * mm - eyes)[1:]
        back /= np.linalg.norm(back)
    up = np.array([0.0, back[2], -back[1]])
    guess = eyes + _EAR_BACK_MM * back + _EAR_UP_MM * up
    # A canal is wider than the air cells behind it, of which erosion leaves nothing.
    air_mm = np.argwhere(ndimage.binary_erosion(inner_air)) * mm
    ears = np.stack([_find_canal(air_mm, guess, side) for side in (-1.0, 1.0)])
    return HeadFrame(eyes, back, up, ears)


def _find_canal(air_mm: Array, guess: Array, side: float) -> Array:
    """The middle of an ear canal, (3,): of its air if there is some, or ``guess``."""
    lateral = (air_mm[:, 0] - guess[0]) * side
    off = np.hypot(air_mm[:, 1] - guess[1], air_mm[:, 2] - guess[2])
    low, high = _CANAL_LATERAL_MM
    canal = air_mm[(lateral > low) & (lateral < high) & (off < _SEARCH_MM)]
    place = np.array([guess[0] + side * (low + high) / 2.0, guess[1], guess[2]])
    if len(canal) >= _FEWEST_CANAL_VOXELS:
        place[1:] = np.median(canal[:, 1:], axis=0)
    return place
