"""Steps that raise edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skimage import filters

from medcyclegan.enhancement.step import Image, bounded, refuse_not_positive


@dataclass(frozen=True)
class Unsharp:
    """The image and ``amount`` times what a blur takes from it (skimage ``unsharp_mask``)."""

    moves_values: ClassVar[bool] = False
    radius_px: float = 3.0
    amount: float = 1.0

    def __post_init__(self) -> None:
        refuse_not_positive("radius_px", self.radius_px)
        refuse_not_positive("amount", self.amount)

    def __call__(self, image: Image) -> Image:
        """Return the sharpened image."""
        return bounded(filters.unsharp_mask(image, radius=self.radius_px, amount=self.amount))


@dataclass(frozen=True)
class Edges:
    """The image less ``amount`` times its Laplacian of Gaussian, in units of ``sigma_px``."""

    moves_values: ClassVar[bool] = False
    sigma_px: float = 1.5
    amount: float = 2.0

    def __post_init__(self) -> None:
        refuse_not_positive("sigma_px", self.sigma_px)
        refuse_not_positive("amount", self.amount)

    def __call__(self, image: Image) -> Image:
        """Return the image with its edges raised."""
        # skimage's sign: positive where the image is brighter than around
        curvature = filters.laplace(filters.gaussian(image, self.sigma_px, mode="nearest"))
        return bounded(image + self.amount * self.sigma_px**2 * curvature)
