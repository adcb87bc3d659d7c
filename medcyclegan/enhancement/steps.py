"""Steps of enhancement, each a frozen set of parameters that is called with an image.

Images are float64 (rows, columns), black 0 and white 1; what a step makes beyond that is clipped.
Lengths are in pixels, values in shares of the range from black to white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from skimage import exposure, filters, restoration

from medcyclegan.errors import UsageError

Image = NDArray[np.float64]


class Step(Protocol):
    """One enhancement. ``moves_values``: the same tissue has other grey values afterwards."""

    @property
    def moves_values(self) -> bool:
        """Whether a window of the original no longer fits."""
        ...

    def __call__(self, image: Image) -> Image:
        """Return the enhanced image, of the same shape."""
        ...


@dataclass(frozen=True)
class HistogramEqualisation:
    """Every grey value as frequent as every other (skimage ``equalize_hist``)."""

    moves_values: ClassVar[bool] = True
    bins: int = 65536  # one for each value of 16 bits

    def __post_init__(self) -> None:
        _refuse("bins", self.bins, is_bad=self.bins < 2, rule="at least 2")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        return _bounded(exposure.equalize_hist(image, nbins=int(self.bins)))


@dataclass(frozen=True)
class Clahe:
    """Equalisation by neighbourhood, its slope limited (skimage ``equalize_adapthist``).

    ``tiles`` neighbourhoods lie along each axis; ``clip_limit`` is the share of pixels that one
    grey value may count for: the larger, the more contrast and noise. Works in 14 bits.
    """

    moves_values: ClassVar[bool] = True
    tiles: int = 8
    clip_limit: float = 0.01

    def __post_init__(self) -> None:
        _refuse("tiles", self.tiles, is_bad=self.tiles < 1, rule="at least 1")
        _refuse("clip_limit", self.clip_limit, is_bad=not 0 < self.clip_limit <= 1, rule="0 to 1")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        size = [max(1, n // int(self.tiles)) for n in image.shape]
        equalised = exposure.equalize_adapthist(
            image, kernel_size=size, clip_limit=self.clip_limit, nbins=4096
        )
        return _bounded(equalised)


@dataclass(frozen=True)
class Bilateral:
    """Mean over neighbours that are near and alike (skimage ``denoise_bilateral``)."""

    moves_values: ClassVar[bool] = False
    radius_px: int = 3
    sigma_px: float = 1.5
    sigma_value: float = 0.04

    def __post_init__(self) -> None:
        _refuse("radius_px", self.radius_px, is_bad=self.radius_px < 1, rule="at least 1")
        for name in ("sigma_px", "sigma_value"):
            _refuse_not_positive(name, getattr(self, name))

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        smoothed = restoration.denoise_bilateral(
            image,
            win_size=2 * int(self.radius_px) + 1,
            sigma_color=self.sigma_value,
            sigma_spatial=self.sigma_px,
        )
        return _bounded(smoothed)


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
            _refuse(name, getattr(self, name), is_bad=getattr(self, name) < 1, rule="at least 1")
        _refuse_not_positive("strength", self.strength)

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
        return _bounded(smoothed)


@dataclass(frozen=True)
class TotalVariation:
    """Least total variation near the image (skimage ``denoise_tv_chambolle``).

    ``strength`` is in units of the image's noise, which is estimated.
    """

    moves_values: ClassVar[bool] = False
    strength: float = 1.5

    def __post_init__(self) -> None:
        _refuse_not_positive("strength", self.strength)

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        noise = noise_of(image)
        if noise == 0.0:
            return image
        return _bounded(restoration.denoise_tv_chambolle(image, weight=self.strength * noise))


@dataclass(frozen=True)
class Unsharp:
    """The image and ``amount`` times what a blur takes from it (skimage ``unsharp_mask``)."""

    moves_values: ClassVar[bool] = False
    radius_px: float = 3.0
    amount: float = 1.0

    def __post_init__(self) -> None:
        _refuse_not_positive("radius_px", self.radius_px)
        _refuse_not_positive("amount", self.amount)

    def __call__(self, image: Image) -> Image:
        """Return the sharpened image."""
        return _bounded(filters.unsharp_mask(image, radius=self.radius_px, amount=self.amount))


@dataclass(frozen=True)
class Edges:
    """The image less ``amount`` times its Laplacian of Gaussian, in units of ``sigma_px``."""

    moves_values: ClassVar[bool] = False
    sigma_px: float = 1.5
    amount: float = 1.0

    def __post_init__(self) -> None:
        _refuse_not_positive("sigma_px", self.sigma_px)
        _refuse_not_positive("amount", self.amount)

    def __call__(self, image: Image) -> Image:
        """Return the image with its edges raised."""
        # skimage's sign: positive where the image is brighter than around
        curvature = filters.laplace(filters.gaussian(image, self.sigma_px, mode="nearest"))
        return _bounded(image + self.amount * self.sigma_px**2 * curvature)


def noise_of(image: Image) -> float:
    """Estimate the standard deviation of white noise (Immerkaer, CVIU 1996, 64:300)."""
    if min(image.shape) < 3:
        return 0.0
    second = image[:, 2:] - 2.0 * image[:, 1:-1] + image[:, :-2]
    mask = second[2:] - 2.0 * second[1:-1] + second[:-2]
    return float(np.sqrt(np.pi / 2.0) * np.abs(mask).mean() / 6.0)


def enhance(image: Image, steps: Sequence[Step]) -> list[Image]:
    """Return the image after each step, one after the other."""
    stages = []
    for step in steps:
        image = step(image)
        stages.append(image)
    return stages


def _bounded(image: NDArray[np.floating]) -> Image:
    return np.clip(np.asarray(image, dtype=np.float64), 0.0, 1.0)


def _refuse(name: str, value: float, *, is_bad: bool, rule: str) -> None:
    if is_bad:
        raise UsageError(f"{name} = {value:g}", rule=f"it must be {rule}")


def _refuse_not_positive(name: str, value: float) -> None:
    _refuse(name, value, is_bad=not value > 0, rule="above 0")
