"""Voxels with their place in space and their unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import InputRefused

Unit = Literal[
    "HU", "a.u.", "normalised", "mask", "label", "relative to water", "1/cm", "g/cm3", "mm"
]
FloatVoxels = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image; a 2D image is a volume of one slice.

    ``voxels`` is float32 (i, j, k), finite, and read-only from here on; ``unit`` says what the
    numbers mean: HU for CT, a.u. for MR signal.
    """

    voxels: FloatVoxels
    geometry: Geometry
    unit: Unit

    def __post_init__(self) -> None:
        voxels = np.asarray(self.voxels, dtype=np.float32)
        if voxels.shape != self.geometry.shape:
            raise InputRefused(
                f"Voxels of shape {voxels.shape} on a grid of {self.geometry.shape}",
                rule="the two must be equal",
            )
        if not np.isfinite(voxels).all():
            raise InputRefused(
                "The voxels hold NaN or infinity",
                rule="every voxel must be a finite number",
                remedy="replace them by a value that means air or no signal",
            )
        view = voxels.view()
        view.flags.writeable = False
        object.__setattr__(self, "voxels", view)

    def with_voxels(self, voxels: FloatVoxels, *, unit: Unit | None = None) -> Volume:
        """Return other voxels on the same grid."""
        return replace(self, voxels=voxels, unit=unit or self.unit)
