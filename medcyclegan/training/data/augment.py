"""Random changes of slabs by MONAI's transforms, each from a seed of its own."""

from __future__ import annotations

import math

import numpy as np
from monai.data import MetaTensor
from monai.transforms import RandAdjustContrast, RandAffine, RandBiasField
from torch import Tensor

from medcyclegan.training.data.config import Augment

_SEEDS = 2**32


class Augmenter:
    """Turns, scales and shifts slabs in plane, and changes the contrast of MR slabs.

    Slabs are (channels, Q, Q) in [-1, 1]; slices are MONAI's channels, so all are changed alike.
    """

    def __init__(self, augment: Augment, *, size_px: int) -> None:
        self.size_px = size_px
        self.moves = bool(augment.turn_deg or augment.scale or augment.shift_px)
        self.augment = augment
        self.affine = RandAffine(
            prob=1.0,
            rotate_range=math.radians(augment.turn_deg),
            scale_range=(augment.scale, augment.scale),
            translate_range=(augment.shift_px, augment.shift_px),
            spatial_size=(size_px, size_px),  # of what comes out, around the middle
            cache_grid=True,
            mode="bilinear",
            padding_mode="zeros",
        )
        limits = math.exp(-augment.gamma), math.exp(augment.gamma)
        self.contrast = RandAdjustContrast(prob=1.0, gamma=limits)
        self.shading = RandBiasField(prob=1.0, degree=2, coeff_range=(-augment.bias, augment.bias))

    @property
    def wide_px(self) -> int:
        """Edge Q of what must be cut for a patch, so that its corners show the image too."""
        if not self.moves:
            return self.size_px
        angle = math.radians(min(self.augment.turn_deg, 45.0))
        corner = (math.cos(angle) + math.sin(angle)) * (1.0 + self.augment.scale)
        return self.size_px + 2 * math.ceil(
            self.size_px * (corner - 1.0) / 2.0 + self.augment.shift_px
        )

    def move(self, slab: Tensor, rng: np.random.Generator) -> Tensor:
        """(channels, Q, Q) -> (channels, P, P), turned, scaled and shifted; outside lies -1."""
        if not self.moves:
            return slab
        self.affine.set_random_state(seed=int(rng.integers(_SEEDS)))
        # MONAI fills with 0, which is to mean the lowest value
        moved = plain(self.affine(slab + 1.0))
        return (moved - 1.0).clamp(-1.0, 1.0)

    def change_contrast(self, slab: Tensor, rng: np.random.Generator) -> Tensor:
        """Change gamma and shading of an MR slab (channels, P, P); what is -1 stays -1."""
        seeds = rng.integers(_SEEDS, size=2)
        lifted = (slab + 1.0) / 2.0
        if self.augment.gamma:
            self.contrast.set_random_state(seed=int(seeds[0]))
            lifted = plain(self.contrast(lifted))
        if self.augment.bias:
            self.shading.set_random_state(seed=int(seeds[1]))
            lifted = plain(self.shading(lifted))
        return lifted.clamp(0.0, 1.0) * 2.0 - 1.0


def plain(tensor: Tensor) -> Tensor:
    """Without MONAI's record of what was done, which costs time with every further step."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
