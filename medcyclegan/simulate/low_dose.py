"""Full-dose and low-dose CT of one subject: counted photons on projections of its attenuation.

A ray that loses exp(-p) of its photons is counted as Poisson(dose I0 exp(-p)), to which electronic
noise of a fixed spread is added; the line integral is minus the logarithm of the counts (Buzug,
Computed Tomography, 2008, chapters 2 and 8; Yu et al., J. Comput. Assist. Tomogr. 2012, 36:477,
who add to a measured scan what noise a lower dose would have added).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import UsageError
from medcyclegan.simulate.head_pairs import HeadGrid, Pair, refuse_unknown, sample_head, streams
from medcyclegan.simulate.imaging import ct_image, ct_table
from medcyclegan.simulate.projections import KERNELS, ParallelBeam
from medcyclegan.volume import Volume

Voxels = NDArray[np.float32]
Rng = np.random.Generator
Detector = Callable[[Voxels], Voxels]

# Attenuation of water at 70 keV, about the mean energy of a filtered beam of 120 kVp (NIST XCOM).
WATER_PER_MM = 0.0193
# Slices are centred this far above the middle of the head: on the brain.
BRAIN_HEIGHT_MM = 35.0
# A ray that no photon got through is taken for this many counts: its logarithm must exist.
_LEAST_COUNTS = 1.0
_LEAST_HU = -1024.0


@dataclass(frozen=True)
class Exposure:
    """How a scan is made.

    Parameters
    ----------
    photons:
        Incident photons of one ray at full dose.
    dose:
        The low dose as a share of the full one, above 0 and at most 1.
    electronic_sd:
        Standard deviation of the electronic noise, in counts, at any dose.
    views:
        Projections over 180 degrees.
    kernel:
        Window of the reconstruction filter.
    """

    photons: float = 2.5e5
    dose: float = 0.25
    electronic_sd: float = 10.0
    views: int = 360
    kernel: str = "hann"

    def __post_init__(self) -> None:
        if not 0.0 < self.dose <= 1.0:
            raise UsageError(f"Dose {self.dose}", rule="it is a share above 0 and at most 1")
        if self.photons < 1.0 or self.electronic_sd < 0.0:
            raise UsageError(
                f"{self.photons:g} photons, electronic noise {self.electronic_sd:g}",
                rule="at least 1 photon and no negative noise",
            )
        refuse_unknown("Kernel", self.kernel, KERNELS)


@dataclass(frozen=True)
class LowDoseHeads:
    """Low-dose (a) and full-dose (b) CT of phantom heads, in HU."""

    grid: HeadGrid
    exposure: Exposure

    def __post_init__(self) -> None:
        if self.grid.spacing_mm[0] != self.grid.spacing_mm[1]:
            raise UsageError(
                f"Spacing {self.grid.spacing_mm} mm", rule="pixels of a projected slice are square"
            )

    def pair(self, seed: int, subject: int) -> Pair:
        """Return the two scans of a subject: the same anatomy, different photons."""
        anatomy_rng, pose_rng, ct_rng, low_rng, full_rng = streams(seed, subject, 5)
        geometry = self.grid.posed(pose_rng)
        mean, texture = sample_head(geometry, [ct_table(ct_rng)], anatomy_rng).means
        exact = ct_image(mean, texture, geometry=geometry, noise_hu=0.0, rng=ct_rng)
        low, full = scan_twice(
            exact, self.grid.spacing_mm[0], self.exposure, rngs=(low_rng, full_rng)
        )
        return Pair(Volume(low, geometry, "HU"), Volume(full, geometry, "HU"))


def scan_twice(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, rngs: tuple[Rng, Rng]
) -> tuple[Voxels, Voxels]:
    """Return the low-dose and the full-dose scan of slices (i, j, k) in HU, with their own noise.

    Slices that are not square are given air around them for the time of the projection.
    """
    doses = zip((exposure.dose, 1.0), rngs, strict=True)
    low, full = _scans(
        hu, pixel_mm, exposure, detectors=[_detector(exposure, dose, rng) for dose, rng in doses]
    )
    return low, full


def scan_and_limit(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, rng: Rng
) -> tuple[Voxels, Voxels]:
    """Return the low-dose scan of slices (i, j, k) in HU, and what endless photons would give.

    The limit has the sharpness of the scan and no noise: the mean that a denoiser is to find.
    """
    detectors = [_detector(exposure, exposure.dose, rng), lambda line_integrals: line_integrals]
    low, limit = _scans(hu, pixel_mm, exposure, detectors=detectors)
    return low, limit


def _detector(exposure: Exposure, dose: float, rng: Rng) -> Detector:
    return partial(
        count_photons,
        photons=dose * exposure.photons,
        electronic_sd=exposure.electronic_sd,
        rng=rng,
    )


def _scans(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, detectors: Sequence[Detector]
) -> list[Voxels]:
    """Project slices (i, j, k) in HU once, and reconstruct what each detector measures."""
    square, inner = _squared(np.maximum(hu, np.float32(-1000.0)))
    beam = ParallelBeam(square.shape[0], pixel_mm, exposure.views)
    line_integrals = beam.project(to_attenuation(square))
    scans = []
    for detect in detectors:
        image = to_hu(beam.reconstruct(detect(line_integrals), kernel=exposure.kernel))
        scans.append(np.maximum(image[inner], np.float32(_LEAST_HU)))
    return scans


def count_photons(
    line_integrals: Voxels, *, photons: float, electronic_sd: float, rng: Rng
) -> Voxels:
    """Return line integrals as a detector would measure them, of the same shape."""
    counts = rng.poisson(photons * np.exp(-line_integrals.astype(np.float64)))
    noise = electronic_sd * rng.standard_normal(line_integrals.shape, dtype=np.float32)
    measured = np.maximum(counts + noise, _LEAST_COUNTS)
    return np.asarray(np.log(photons) - np.log(measured), dtype=np.float32)


def to_attenuation(hu: Voxels) -> Voxels:
    """HU to attenuation per millimetre, any shape."""
    return np.asarray(WATER_PER_MM * (1.0 + hu / 1000.0), dtype=np.float32)


def to_hu(attenuation_per_mm: Voxels) -> Voxels:
    """Attenuation per millimetre to HU, any shape."""
    return np.asarray(1000.0 * (attenuation_per_mm / WATER_PER_MM - 1.0), dtype=np.float32)


def _squared(hu: Voxels) -> tuple[Voxels, tuple[slice, slice]]:
    """Slices (i, j, k) with air around them so that i = j, and where they lie in it."""
    side = max(hu.shape[:2])
    before = [(side - n) // 2 for n in hu.shape[:2]]
    after = [side - n - start for n, start in zip(hu.shape[:2], before, strict=True)]
    widths = [*zip(before, after, strict=True), (0, 0)]
    inner = tuple(slice(start, start + n) for start, n in zip(before, hu.shape[:2], strict=True))
    return np.pad(hu, widths, constant_values=-1000.0), (inner[0], inner[1])
