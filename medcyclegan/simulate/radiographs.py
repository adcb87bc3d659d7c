"""Radiographs of phantom heads, and the CT slice through the same head parallel to the detector.

The intensity behind a line integral p is exp(-p) of that without an object (Beer and Lambert); to
it come scattered photons, the counting of all of them, and the detector's blur (Bushberg et al.,
The Essential Physics of Medical Imaging, 2012, chapters 3 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.errors import UsageError
from medcyclegan.geometry import Geometry
from medcyclegan.simulate.head_pairs import (
    HeadGrid,
    Pair,
    Rng,
    refuse_unknown,
    rotation,
    sample_head,
    streams,
)
from medcyclegan.simulate.imaging import ct_image, ct_table
from medcyclegan.simulate.low_dose import to_attenuation
from medcyclegan.simulate.pictures import WHITE_16_BIT, refuse_window, windowed
from medcyclegan.volume import Volume

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
