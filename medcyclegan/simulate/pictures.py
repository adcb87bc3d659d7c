"""From volumes to pictures: slices as grey values, as files of images hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import UsageError
from medcyclegan.geometry import Geometry
from medcyclegan.simulate.head_pairs import HeadGrid, MrCtHeads, Pair, Rng, streams
from medcyclegan.volume import Volume

Greys = NDArray[np.float32]

# Added to HU so that 16 bit without sign hold them: air of -1024 is 0.
HU_OFFSET = 1024.0
WHITE_8_BIT, WHITE_16_BIT = 255.0, 65535.0

# A slice is shown if this share of it is tissue: above the skin and below the neck there is none.
_LEAST_TISSUE = 0.03
_TISSUE_HU = -300.0
_TISSUE_SIGNAL = 0.1  # of the signal's upper percentile


class Heads(Protocol):
    """What makes two volumes of a subject."""

    def pair(self, seed: int, subject: int) -> Pair:
        """Return both volumes of a subject."""
        ...


@dataclass(frozen=True)
class Slices:
    """The slices of volumes as grey values: those that show tissue in ``b``, the same of both.

    HU become HU + 1024, for pictures of 16 bit; MR signal runs from 0 to 255 at its percentile
    99.5.
    """

    heads: Heads

    def pair(self, seed: int, subject: int) -> Pair:
        """Return both sides' slices, a.u., one after the other along k."""
        pair = self.heads.pair(seed, subject)
        shown = slices_with_tissue(pair.b)
        return Pair(_pick(_plain_grey(pair.a), shown), _pick(_plain_grey(pair.b), shown))


@dataclass(frozen=True)
class CtImages:
    """MR slices as pictures of any size and brightness (a), CT slices in one window (b); 8 bit.

    Parameters
    ----------
    pixels:
        Least and greatest number of rows; columns are 3/4 of them to as many.
    slices:
        Slices of a subject, 6 mm apart.
    window_hu:
        The CT values that are black and white.
    """

    pixels: tuple[int, int] = (160, 288)
    slices: int = 12
    window_hu: tuple[float, float] = (-160.0, 240.0)

    def __post_init__(self) -> None:
        low, high = self.pixels
        if not 16 <= low <= high:
            raise UsageError(
                f"Pictures of {low} to {high} rows", rule="from 16 up, the least first"
            )
        refuse_window(self.window_hu)

    def pair(self, seed: int, subject: int) -> Pair:
        """Return both sides' slices, grey values from 0 to 255."""
        rng = streams(seed, subject, 6)[5]
        rows = int(rng.integers(self.pixels[0], self.pixels[1] + 1))
        columns = int(np.ceil(rows * rng.uniform(0.75, 1.0)))
        pixel_mm = 250.0 / rows  # the height of the field of view
        grid = HeadGrid((pixel_mm, pixel_mm, 6.0), (columns, rows, self.slices), height_mm=30.0)
        pair = MrCtHeads(grid, "random").pair(seed, subject)
        shown = slices_with_tissue(pair.b)
        photograph = _photograph(pair.a.voxels, rng)
        return Pair(
            _pick(pair.a.with_voxels(photograph), shown),
            _pick(windowed(pair.b, self.window_hu), shown),
        )


def refuse_window(window_hu: tuple[float, float]) -> None:
    """Raise UsageError unless black is below white."""
    low, high = window_hu
    if not low < high:
        raise UsageError(f"Window of {low:g} to {high:g} HU", rule="the lower end comes first")


def windowed(ct: Volume, window_hu: tuple[float, float]) -> Volume:
    """Show HU from black, 0, to white, 255."""
    low, high = window_hu
    grey = np.clip((ct.voxels - low) / (high - low), 0.0, 1.0) * WHITE_8_BIT
    return ct.with_voxels(np.rint(grey).astype(np.float32), unit="a.u.")


def slices_with_tissue(volume: Volume) -> NDArray[np.int64]:
    """The numbers of slices k that show tissue; the fullest one if none does enough."""
    if volume.unit == "HU":
        tissue = volume.voxels > _TISSUE_HU
    else:
        tissue = volume.voxels > _TISSUE_SIGNAL * np.percentile(volume.voxels, 99.5)
    share = tissue.mean(axis=(0, 1))
    shown = np.flatnonzero(share >= _LEAST_TISSUE)
    return shown if shown.size else np.array([int(share.argmax())])


def _plain_grey(volume: Volume) -> Volume:
    if volume.unit == "HU":
        grey = np.rint(np.maximum(volume.voxels + np.float32(HU_OFFSET), 0.0))
        return volume.with_voxels(grey, unit="a.u.")
    return volume.with_voxels(_bright_to(volume.voxels, 99.5))


def _photograph(signal: Greys, rng: Rng) -> Greys:
    """Show signal as someone would who sets brightness by eye: any white point and gamma."""
    shown = _bright_to(signal, rng.uniform(97.0, 99.8)) / np.float32(WHITE_8_BIT)
    grey = shown ** np.float32(rng.uniform(0.75, 1.3)) * np.float32(WHITE_8_BIT)
    return np.asarray(np.rint(grey), dtype=np.float32)


def _bright_to(signal: Greys, percentile: float) -> Greys:
    white = max(float(np.percentile(signal, percentile)), 1e-6)
    grey = np.rint(np.clip(signal / white, 0.0, 1.0) * WHITE_8_BIT)
    return np.asarray(grey, dtype=np.float32)


def _pick(volume: Volume, slices: NDArray[np.int64]) -> Volume:
    """Some slices, as if they lay next to each other: what is kept of their place is the pixel."""
    voxels = np.ascontiguousarray(volume.voxels[:, :, slices])
    return Volume(voxels, Geometry(voxels.shape, volume.geometry.affine_ras), volume.unit)
