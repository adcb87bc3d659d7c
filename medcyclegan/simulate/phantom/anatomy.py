"""What makes one phantom subject differ from the next, drawn from a seed.

Canonical head coordinates are RAS millimetres with the origin between the commissures of the
brain, the size of the MNI template (a little above the mean adult, which ``size`` corrects).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.phantom.shapes import Field, Points, points_from

FloatArray = NDArray[np.float64]

# The world's origin lies here in canonical millimetres: mid-head, vertex to chin, so that a grid
# centred on the world's origin holds the head.
HEAD_CENTRE_MM = (0.0, -4.0, -19.0)

# Below this canonical height the face grows; a child's is shorter for the same cranium.
_FACE_TOP_MM = -22.0

_CHILD_SHARE = 0.2
_WARP_WAVES = 3
_FOLD_WAVES = 11


@dataclass(frozen=True)
class Waves:
    """A sum of plane waves: ``vectors`` (n, 3) in rad/mm, ``phases`` (n,) in rad, one size each."""

    vectors: FloatArray
    phases: FloatArray
    amplitude: float

    def value(self, x: Field, y: Field, z: Field) -> Field:
        """Return the field at points given by three arrays of one shape."""
        total = np.zeros_like(x)
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            angle = x * np.float32(kx) + y * np.float32(ky) + z * np.float32(kz)
            total += np.sin(angle + np.float32(phase))
        return total * np.float32(self.amplitude)

    def value_and_slope(self, x: Field, y: Field, z: Field) -> tuple[Field, list[Field]]:
        """Return the field and its three derivatives per mm."""
        total = np.zeros_like(x)
        slopes = [np.zeros_like(x) for _ in range(3)]
        for vector, phase in zip(self.vectors, self.phases, strict=True):
            angle = x * np.float32(vector[0])
            angle += y * np.float32(vector[1])
            angle += z * np.float32(vector[2])
            angle += np.float32(phase)
            total += np.sin(angle)
            cosine = np.cos(angle)
            for axis, k in enumerate(vector):
                slopes[axis] += cosine * np.float32(k)
        scale = np.float32(self.amplitude)
        return total * scale, [slope * scale for slope in slopes]


def random_waves(
    rng: np.random.Generator, *, count: int, wavelength_mm: tuple[float, float], rms: float
) -> Waves:
    """Draw waves of random direction and phase, wavelengths uniform in the range given."""
    vectors = rng.standard_normal((count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= 2.0 * np.pi / rng.uniform(*wavelength_mm, size=(count, 1))
    phases = rng.uniform(0.0, 2.0 * np.pi, size=count)
    return Waves(vectors, phases, amplitude=rms * float(np.sqrt(2.0 / count)))


@dataclass(frozen=True)
class Anatomy:
    """One subject; lengths in canonical mm.

    ``size`` scales the whole head and ``proportions`` its (x, y, z); ``growth`` runs from 0 (a
    child of about six) to 1 (an adult): length of the face, thickness of the skull, sinuses.
    """

    size: float
    proportions: tuple[float, float, float]
    growth: float
    skull_mm: float
    scalp_mm: float
    cortex_gap_mm: float
    ventricle_mm: float
    sulcus_mm: float
    warp: tuple[Waves, Waves, Waves]
    folds: Waves
    fold_depth: Waves
    lumps: Waves
    patches: Waves

    def canonical(self, world_ras_mm: FloatArray) -> Points:
        """Turn world points (n, 3) into canonical ones."""
        scale = self.size * np.asarray(self.proportions)
        x, y, z = (
            (world_ras_mm[:, axis] / scale[axis] + HEAD_CENTRE_MM[axis]).astype(np.float32)
            for axis in range(3)
        )
        stretch = np.float32(1.0 / (0.84 + 0.16 * self.growth))
        z = np.where(z < _FACE_TOP_MM, _FACE_TOP_MM + (z - _FACE_TOP_MM) * stretch, z)
        moved = [wave.value(x, y, z) for wave in self.warp]
        return points_from(x + moved[0], y + moved[1], z + moved[2])


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a subject: one in five is a child."""
    child = rng.random() < _CHILD_SHARE
    growth = rng.uniform(0.0, 0.6) if child else 1.0
    size = rng.normal(0.935, 0.025) - 0.045 * (1.0 - growth)
    proportions = np.clip(rng.normal(1.0, 0.018, size=3), 0.965, 1.035)
    # Two standard deviations of 1.5 mm move a structure visibly and never tear thin layers, as
    # the wavelengths are some fifty times that.
    warp = [random_waves(rng, count=_WARP_WAVES, wavelength_mm=(85, 170), rms=1.1) for _ in "xyz"]
    return Anatomy(
        size=float(np.clip(size, 0.84, 1.0)),
        proportions=(float(proportions[0]), float(proportions[1]), float(proportions[2])),
        growth=growth,
        skull_mm=float(np.clip(rng.normal(6.8, 0.7), 5.2, 8.4)) * (0.65 + 0.35 * growth),
        scalp_mm=float(np.clip(rng.normal(5.6, 0.8), 4.0, 7.5)) * (0.8 + 0.2 * growth),
        cortex_gap_mm=rng.uniform(1.0, 2.6),
        ventricle_mm=rng.uniform(-1.2, 2.2) * (0.3 + 0.7 * growth),
        sulcus_mm=rng.uniform(0.35, 0.8),
        warp=(warp[0], warp[1], warp[2]),
        folds=random_waves(rng, count=_FOLD_WAVES, wavelength_mm=(14, 19), rms=1.0),
        fold_depth=random_waves(rng, count=3, wavelength_mm=(25, 45), rms=1.0),
        lumps=random_waves(rng, count=4, wavelength_mm=(30, 60), rms=1.0),
        patches=random_waves(rng, count=5, wavelength_mm=(14, 30), rms=1.0),
    )
