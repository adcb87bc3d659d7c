"""Pictures from simulated volumes: slices as grey values, and radiographs of heads.

Radiographs of phantom heads, and the CT slice through the same head parallel to the detector.
The intensity behind a line integral p is exp(-p) of that without an object (Beer and Lambert); to
it come scattered photons, the counting of all of them, and the detector's blur (Bushberg et al.,
The Essential Physics of Medical Imaging, 2012, chapters 3 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.acquisition import ct_image, ct_table
from medcyclegan.simulate.head_pairs import (
    HeadGrid,
    MrCtHeads,
    Pair,
    Rng,
    refuse_unknown,
    rotation,
    sample_head,
    streams,
)
from medcyclegan.simulate.low_dose_ct import to_attenuation

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


Plane = NDArray[np.float32]

VIEWS = ("frontal", "lateral", "random")
SIGNALS = ("log", "intensity")

# Unit vectors of image columns, rows and beam in RAS, as columns of a matrix: the face seen from
# the front with its left on the right of the picture; the nose on the left of the picture.
_AXES = {
    "frontal": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]),
    "lateral": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}
_STEP_MM, _STEPS = 5.0, 50  # along the beam: 250 mm hold every head
_SCATTER_MM = 35.0  # spread of scattered photons behind a head, standard deviation
_LEAST_COUNTS = 1.0
# A line integral of 8 leaves 3 photons in ten thousand: more than any head takes away.
_WHITE_LINE_INTEGRAL = 8.0
_TURN_DEG = 5.0


@dataclass(frozen=True)
class Detector:
    """What happens behind the head.

    Parameters
    ----------
    photons:
        Incident photons of a pixel.
    scatter:
        Scattered photons as a share of the primary ones, on the average over the picture.
    blur_px:
        Standard deviation of focal spot and detector together.
    signal:
        ``log``: minus the logarithm, bone is bright, as radiographs are shown; ``intensity``:
        the photons themselves, bone is dark.
    inverted:
        Grey values turned round, as MONOCHROME1 stores them.
    """

    photons: float = 5e4
    scatter: float = 0.3
    blur_px: float = 0.6
    signal: str = "log"
    inverted: bool = False

    def __post_init__(self) -> None:
        refuse_unknown("Signal", self.signal, SIGNALS)
        if self.photons < 1.0 or min(self.scatter, self.blur_px) < 0.0:
            raise UsageError(
                f"{self.photons:g} photons, scatter {self.scatter:g}, blur {self.blur_px:g}",
                rule="at least 1 photon, and nothing negative",
            )


@dataclass(frozen=True)
class Radiographs:
    """A radiograph (a, 16 bit) and a CT slice of the same size (b, 8 bit) of each subject.

    The slice is ``_STEP_MM`` thick and cuts the middle of the head. ``size`` is columns and rows.
    """

    size: tuple[int, int]
    pixel_mm: float
    detector: Detector
    view: str = "frontal"
    window_hu: tuple[float, float] = (-160.0, 240.0)

    def __post_init__(self) -> None:
        refuse_unknown("View", self.view, VIEWS)
        refuse_window(self.window_hu)

    def pair(self, seed: int, subject: int) -> Pair:
        """Return two pictures (columns, rows, 1) of one subject."""
        anatomy_rng, pose_rng, ct_rng, photon_rng = streams(seed, subject, 4)
        geometry = self._geometry(pose_rng)
        table = ct_table(ct_rng)
        mean, texture = sample_head(geometry, [table], anatomy_rng).means
        exact = ct_image(mean, texture, geometry=geometry, noise_hu=0.0, rng=ct_rng)
        attenuation = to_attenuation(np.maximum(exact, np.float32(-1000.0)))
        line_integrals = attenuation.sum(axis=2) * np.float32(_STEP_MM)
        grey = expose(line_integrals, self.pixel_mm, self.detector, photon_rng)
        plane = _plane_of(geometry)
        noise_hu = ct_rng.uniform(4.0, 9.0)
        middle = np.ascontiguousarray(exact[:, :, _STEPS // 2 : _STEPS // 2 + 1])
        zero = np.zeros_like(middle)
        ct = ct_image(middle, zero, geometry=plane, noise_hu=noise_hu, rng=ct_rng)
        return Pair(
            Volume(grey[:, :, None], plane, "a.u."),
            windowed(Volume(ct, plane, "HU"), self.window_hu),
        )

    def _geometry(self, rng: Rng) -> Geometry:
        """The grid whose third axis is the beam: to project is to add up along it."""
        drawn = str(rng.choice(("frontal", "lateral")))
        axes = _AXES[drawn if self.view == "random" else self.view]
        posed = HeadGrid((self.pixel_mm, self.pixel_mm, _STEP_MM), (*self.size, _STEPS)).posed(rng)
        turns_deg = np.clip(rng.standard_normal(3), -2.0, 2.0) * _TURN_DEG
        affine = posed.affine_ras.copy()
        centre_mm = affine[:3, :3] @ ((np.asarray(posed.shape) - 1) / 2.0) + affine[:3, 3]
        affine[:3, :3] = rotation(turns_deg) @ axes * np.asarray(posed.spacing_mm)
        affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.asarray(posed.shape) - 1) / 2.0)
        return Geometry(posed.shape, affine)


def expose(line_integrals: Plane, pixel_mm: float, detector: Detector, rng: Rng) -> Plane:
    """Return grey values from 0 to 65535 for line integrals (columns, rows)."""
    primary = np.exp(-line_integrals.astype(np.float64))
    spread = ndimage.gaussian_filter(primary, _SCATTER_MM / pixel_mm, mode="nearest")
    behind = ndimage.gaussian_filter(
        primary + detector.scatter * spread, detector.blur_px, mode="nearest"
    )
    counts = np.maximum(rng.poisson(detector.photons * behind), _LEAST_COUNTS)
    intensity = counts / (detector.photons * (1.0 + detector.scatter))
    bone_bright = detector.signal == "log"
    share = -np.log(intensity) / _WHITE_LINE_INTEGRAL if bone_bright else intensity
    share = np.clip(share, 0.0, 1.0)
    grey = np.rint((1.0 - share if detector.inverted else share) * WHITE_16_BIT)
    return np.asarray(grey, dtype=np.float32)


def _plane_of(geometry: Geometry) -> Geometry:
    """The first slice's grid; a radiograph has no depth."""
    return Geometry((*geometry.shape[:2], 1), geometry.affine_ras)
