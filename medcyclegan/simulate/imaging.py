"""From tissues to images: what a scanner of either kind would make of them.

Everything here works on arrays and tables, so that phantoms and label maps share it. A table has
one row of values by label, the value of :class:`~medcyclegan.simulate.tissues.Tissue`; the mean of
a table over a voxel's tissues is partial volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.geometry import Geometry
from medcyclegan.simulate.sequences import (
    InversionRecovery,
    Sequence,
    SpinEcho,
    SpoiledGradientEcho,
)
from medcyclegan.simulate.tissues import PROPERTIES, Tissue, column

FloatArray = NDArray[np.float64]
FloatVoxels = NDArray[np.float32]

# A fully relaxed water signal would be this many units, chosen by sequence so that tissues fill 0
# to about 1000, as the magnitude images of scanners do.
_MR_UNITS = {SpoiledGradientEcho: 3800.0, SpinEcho: 1300.0, InversionRecovery: 2600.0}

# Texture inside one tissue, standard deviations: of the MR signal as a share of it, of CT in HU.
# Fat is crossed by septa, bone and marrow by trabeculae; the brain is nearly even.
_MR_TEXTURE = {Tissue.FAT: 0.10, Tissue.MUSCLE: 0.07, Tissue.MARROW: 0.15, Tissue.MUCOSA: 0.12}
_MR_TEXTURE_ELSE = 0.025
_CT_TEXTURE_HU = {
    Tissue.AIR: 0.0,
    Tissue.FAT: 9.0,
    Tissue.MUSCLE: 7.0,
    Tissue.CORTICAL_BONE: 90.0,
    Tissue.MARROW: 110.0,
    Tissue.TOOTH: 120.0,
}
_CT_TEXTURE_ELSE_HU = 3.0
_TEXTURE_MM = 1.6


@dataclass(frozen=True)
class TissueTable:
    """Value and within-tissue standard deviation by label, both (n_labels,) float64."""

    value: FloatArray
    texture: FloatArray


def ct_table(rng: np.random.Generator) -> TissueTable:
    """Draw a subject's HU by tissue, within 1.5 of the tissues' standard deviations."""
    spread = np.clip(rng.standard_normal(len(Tissue)), -1.5, 1.5)
    value = [PROPERTIES[t].hu + PROPERTIES[t].hu_sd * spread[t] for t in Tissue]
    texture = [_CT_TEXTURE_HU.get(t, _CT_TEXTURE_ELSE_HU) for t in Tissue]
    return TissueTable(np.array(value), np.array(texture))


def mr_table(sequence: Sequence, rng: np.random.Generator) -> TissueTable:
    """Draw a subject's MR signal by tissue, in scanner units.

    PD, T1 and T2 vary by 3, 5 and 5 % between subjects, fluid's T1 not, so that FLAIR nulls it.
    """
    jitter = 1.0 + np.clip(rng.standard_normal((3, len(Tissue))), -2.0, 2.0) * [
        [0.03],
        [0.05],
        [0.05],
    ]
    jitter[1, [Tissue.CSF, Tissue.EYE_FLUID]] = 1.0
    density, t1_ms, t2_ms = (
        column(name) * jitter[row] for row, name in enumerate(("proton_density", "t1_ms", "t2_ms"))
    )
    value = sequence.signal(density, t1_ms, t2_ms) * _MR_UNITS[type(sequence)]
    share = np.array([_MR_TEXTURE.get(t, _MR_TEXTURE_ELSE) for t in Tissue])
    return TissueTable(value, value * share)


def mean_of_fractions(fractions: FloatVoxels, values: FloatArray) -> FloatVoxels:
    """Return (i, j, k) the values (n_labels,) weighted by fractions (n_labels, i, j, k)."""
    return np.tensordot(values.astype(np.float32), fractions, axes=(0, 0))


def smooth_noise(geometry: Geometry, *, sigma_mm: float, rng: np.random.Generator) -> FloatVoxels:
    """Return (i, j, k) Gaussian noise of mean 0, standard deviation 1, smooth over ``sigma_mm``."""
    noise = rng.standard_normal(geometry.shape, dtype=np.float32)
    for axis, spacing_mm in enumerate(geometry.spacing_mm):
        sigma = sigma_mm / spacing_mm
        if sigma > 0.2:
            noise = ndimage.gaussian_filter1d(noise, sigma, axis=axis, mode="wrap")
            noise /= _smoothing_gain(sigma, geometry.shape[axis])
    return noise


def _smoothing_gain(sigma: float, size: int) -> np.float32:
    """Return what smoothing along a wrapped axis leaves of white noise's standard deviation."""
    impulse = np.zeros(size)
    impulse[0] = 1.0
    kernel = ndimage.gaussian_filter1d(impulse, sigma, mode="wrap")
    return np.float32(np.sqrt(np.sum(kernel**2)))


def bias_field(geometry: Geometry, *, strength: float, rng: np.random.Generator) -> FloatVoxels:
    """Return (i, j, k) a receive coil's sensitivity about 1: exp of a random quadratic in space.

    ``strength`` is roughly its largest relative departure from 1 at 100 mm from the middle.
    """
    grid = np.meshgrid(
        *(np.arange(n, dtype=np.float32) for n in geometry.shape), indexing="ij", sparse=True
    )
    affine = geometry.affine_ras
    unit = [
        sum((affine[row, axis] * grid[axis] for axis in range(3)), affine[row, 3]) / 100.0
        for row in range(3)
    ]
    weights = rng.uniform(-1.0, 1.0, size=6) * strength / 2.0
    exponent = np.zeros(geometry.shape, dtype=np.float32)
    for axis, field in enumerate(unit):
        square = field * unit[(axis + 1) % 3]
        exponent += (weights[axis] * field + weights[axis + 3] * square).astype(np.float32)
    return np.exp(np.clip(exponent, -1.0, 1.0))


def rician(signal: FloatVoxels, *, sd: float, rng: np.random.Generator) -> FloatVoxels:
    """Return the magnitude of a signal with complex Gaussian noise of ``sd`` in each part."""
    real = signal + np.float32(sd) * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = np.float32(sd) * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(np.sqrt(real * real + imaginary * imaginary), dtype=np.float32)


def mr_image(
    mean: FloatVoxels,
    texture: FloatVoxels,
    *,
    geometry: Geometry,
    noise_sd: float,
    bias: float,
    rng: np.random.Generator,
) -> FloatVoxels:
    """Make an MR magnitude image, a.u., of the voxels' mean signal.

    ``mean`` and ``texture`` (i, j, k) are a :class:`TissueTable` averaged over each voxel;
    ``noise_sd`` is in the signal's units, ``bias`` the coil's :func:`bias_field` strength.
    """
    signal = mean + texture * smooth_noise(geometry, sigma_mm=_TEXTURE_MM, rng=rng)
    signal = np.maximum(signal, 0) * bias_field(geometry, strength=bias, rng=rng)
    return rician(signal, sd=noise_sd, rng=rng)


def ct_image(
    mean: FloatVoxels,
    texture: FloatVoxels,
    *,
    geometry: Geometry,
    noise_hu: float,
    rng: np.random.Generator,
) -> FloatVoxels:
    """Make a CT image, HU, of the voxels' mean; no voxel lies below -1024.

    The noise, standard deviation ``noise_hu``, is smoothed as a soft kernel's is.
    """
    image = mean + texture * smooth_noise(geometry, sigma_mm=_TEXTURE_MM, rng=rng)
    kernel_mm = 0.5 * min(geometry.spacing_mm)
    image += np.float32(noise_hu) * smooth_noise(geometry, sigma_mm=kernel_mm, rng=rng)
    return np.maximum(image, np.float32(-1024.0))
