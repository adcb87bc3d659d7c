"""Steps that take noise away and leave edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from skimage import restoration

from medcyclegan.enhancement.step import Image, bounded, refuse, refuse_not_positive


@dataclass(frozen=True)
class Bilateral:
    """Mean over neighbours that are near and alike (skimage ``denoise_bilateral``)."""

    moves_values: ClassVar[bool] = False
    radius_px: int = 3
    sigma_px: float = 1.5
    sigma_value: float = 0.04

    def __post_init__(self) -> None:
        refuse("radius_px", self.radius_px, is_bad=self.radius_px < 1, rule="at least 1")
        for name in ("sigma_px", "sigma_value"):
            refuse_not_positive(name, getattr(self, name))

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        smoothed = restoration.denoise_bilateral(
            image,
            win_size=2 * int(self.radius_px) + 1,
            sigma_color=self.sigma_value,
            sigma_spatial=self.sigma_px,
        )
        return bounded(smoothed)


@dataclass(frozen=True)
class NonLocalMeans:
    """Mean over patches that look alike (skimage ``denoise_nl_means``, Buades et al. 2005).

    ``strength`` is in units of the image's noise, which is estimated.
    """

    moves_values: ClassVar[bool] = False
    patch_px: int = 5
    distance_px: int = 6
    strength: float = 0.8

    def __post_init__(self) -> None:
        for name in ("patch_px", "distance_px"):
            refuse(name, getattr(self, name), is_bad=getattr(self, name) < 1, rule="at least 1")
        refuse_not_positive("strength", self.strength)

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        noise = noise_of(image)
        if noise == 0.0:
            return image
        smoothed = restoration.denoise_nl_means(
            image,
            patch_size=int(self.patch_px),
            patch_distance=int(self.distance_px),
            h=self.strength * noise,
            sigma=noise,
        )
        return bounded(smoothed)


@dataclass(frozen=True)
class TotalVariation:
    """Least total variation near the image (skimage ``denoise_tv_chambolle``).

    ``strength`` is in units of the image's noise, which is estimated.
    """

    moves_values: ClassVar[bool] = False
    strength: float = 1.5

    def __post_init__(self) -> None:
        refuse_not_positive("strength", self.strength)

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        noise = noise_of(image)
        if noise == 0.0:
            return image
        return bounded(restoration.denoise_tv_chambolle(image, weight=self.strength * noise))


def noise_of(image: Image) -> float:
    """Estimate the standard deviation of white noise (Immerkaer, CVIU 1996, 64:300)."""
    if min(image.shape) < 3:
        return 0.0
    second = image[:, 2:] - 2.0 * image[:, 1:-1] + image[:, :-2]
    mask = second[2:] - 2.0 * second[1:-1] + second[:-2]
    return float(np.sqrt(np.pi / 2.0) * np.abs(mask).mean() / 6.0)
