"""Classical enhancement of radiographs: contrast, noise and edges, as named steps.

What a step of enhancement is, and a chain of them.
Images are float64 (rows, columns), black 0 and white 1; what a step makes beyond that is clipped.
Steps are frozen sets of parameters: lengths in pixels, values in shares of the range from black to
white.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from typing import Any, ClassVar, Protocol

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


def enhance(image: Image, steps: Sequence[Step]) -> list[Image]:
    """Return the image after each step, one after the other."""
    stages = []
    for step in steps:
        image = step(image)
        stages.append(image)
    return stages


def bounded(image: NDArray[np.floating]) -> Image:
    """Clip to black and white."""
    return np.clip(np.asarray(image, dtype=np.float64), 0.0, 1.0)


def refuse(name: str, value: float, *, is_bad: bool, rule: str) -> None:
    """Raise UsageError for a parameter ``is_bad``."""
    if is_bad:
        raise UsageError(f"{name} = {value:g}", rule=f"it must be {rule}")


def refuse_not_positive(name: str, value: float) -> None:
    """Raise UsageError for a parameter that is not above 0."""
    refuse(name, value, is_bad=not value > 0, rule="above 0")


@dataclass(frozen=True)
class HistogramEqualisation:
    """Every grey value as frequent as every other (skimage ``equalize_hist``)."""

    moves_values: ClassVar[bool] = True
    bins: int = 65536  # one for each value of 16 bits

    def __post_init__(self) -> None:
        refuse("bins", self.bins, is_bad=self.bins < 2, rule="at least 2")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        return bounded(exposure.equalize_hist(image, nbins=int(self.bins)))


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
        refuse("tiles", self.tiles, is_bad=self.tiles < 1, rule="at least 1")
        refuse("clip_limit", self.clip_limit, is_bad=not 0 < self.clip_limit <= 1, rule="0 to 1")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        size = [max(1, n // int(self.tiles)) for n in image.shape]
        equalised = exposure.equalize_adapthist(
            image, kernel_size=size, clip_limit=self.clip_limit, nbins=4096
        )
        return bounded(equalised)


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


METHODS: dict[str, type] = {
    "hist-eq": HistogramEqualisation,
    "clahe": Clahe,
    "denoise-bilateral": Bilateral,
    "denoise-nlm": NonLocalMeans,
    "denoise-tv": TotalVariation,
    "unsharp": Unsharp,
    "edges": Edges,
}


def parse_step(text: str) -> Step:
    """Return the step that ``name`` or ``name:parameter=value,...`` stands for.

    Raises
    ------
    UsageError
        If there is no such method or parameter, or a value is out of its range.
    """
    name, _, rest = text.partition(":")
    if name not in METHODS:
        raise UsageError(f"Method {name!r}", rule=f"it must be one of {', '.join(METHODS)}")
    known = {field.name: field for field in fields(METHODS[name])}
    given: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UsageError(
                f"Method {text!r}: no parameter {key!r}",
                rule=f"{name} has {', '.join(f'{f.name}={f.default}' for f in known.values())}",
            )
        given[key] = _number(text, key, value, known[key])
    step: Callable[..., Step] = METHODS[name]
    return step(**given)


def _number(text: str, key: str, value: str, field: Field[Any]) -> float:
    kind: Callable[[str], float] = int if isinstance(field.default, int) else float
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(
            f"Method {text!r}: {key} is {value!r}",
            rule=f"it must be a {'whole ' if kind is int else ''}number",
        ) from error
