"""Signal equations of MR sequences, and images of tissues as MR and CT scanners make them.

From tissues to images: what a scanner of either kind would make of them.
Everything here works on arrays and tables, so that phantoms and label maps share it. A table has
one row of values by label, the value of :class:`~medcyclegan.simulate.tissues.Tissue`; the mean of
a table over a voxel's tissues is partial volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import Geometry
from medcyclegan.simulate.tissues import INDEPENDENT, PROPERTIES, Tissue, by_tissue, column

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpinEcho:
    """T1-, T2- or PD-weighted (turbo) spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2)."""

    tr_ms: float
    te_ms: float

    def signal(self, proton_density: Array, t1_ms: Array, t2_ms: Array) -> Array:
        """Return the signal for arrays of tissue parameters of one shape."""
        return np.asarray(
            proton_density * (1.0 - np.exp(-self.tr_ms / t1_ms)) * np.exp(-self.te_ms / t2_ms)
        )


@dataclass(frozen=True)
class SpoiledGradientEcho:
    """FLASH or SPGR: PD sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE/T2), E1 = exp(-TR/T1)."""

    tr_ms: float
    te_ms: float
    flip_deg: float

    def signal(self, proton_density: Array, t1_ms: Array, t2_ms: Array) -> Array:
        """Return the signal for arrays of tissue parameters of one shape."""
        e1 = np.exp(-self.tr_ms / t1_ms)
        flip = np.deg2rad(self.flip_deg)
        steady = np.sin(flip) * (1.0 - e1) / (1.0 - np.cos(flip) * e1)
        return np.asarray(proton_density * steady * np.exp(-self.te_ms / t2_ms))


@dataclass(frozen=True)
class InversionRecovery:
    """Magnitude inversion recovery (MPRAGE at a short, FLAIR at a long TI and TE):
    PD abs(1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2).

    ``gradient_echo`` tells how it is read out: MPRAGE by gradient echoes, FLAIR and STIR by spin
    echoes. The signal is that of the T2, or T2*, that is given.
    """

    tr_ms: float
    te_ms: float
    ti_ms: float
    gradient_echo: bool = False

    def signal(self, proton_density: Array, t1_ms: Array, t2_ms: Array) -> Array:
        """Return the signal for arrays of tissue parameters of one shape."""
        longitudinal = 1.0 - 2.0 * np.exp(-self.ti_ms / t1_ms) + np.exp(-self.tr_ms / t1_ms)
        return np.asarray(proton_density * np.abs(longitudinal) * np.exp(-self.te_ms / t2_ms))


Sequence = SpinEcho | SpoiledGradientEcho | InversionRecovery

# Fat precesses by 3.4 ppm of the proton's 42.58 MHz/T slower than water (Bernstein, chapter 17.3).
_FAT_SHIFT_HZ_PER_T = 3.4 * 42.577


def reads_gradient_echoes(sequence: Sequence) -> bool:
    """Whether signal falls by T2* and fat and water drift apart until the echo."""
    if isinstance(sequence, InversionRecovery):
        return sequence.gradient_echo
    return isinstance(sequence, SpoiledGradientEcho)


def nulling_ti_ms(t1_ms: float, tr_ms: float) -> float:
    """The inversion time at which a tissue gives no signal: T1 (ln 2 - ln(1 + exp(-TR/T1)))."""
    return float(t1_ms * (np.log(2.0) - np.log1p(np.exp(-tr_ms / t1_ms))))


def t2_star_ms(t2_ms: Array, t2_prime_ms: Array) -> Array:
    """T2* of tissues: 1/T2* = 1/T2 + 1/T2', T2' being that of the field's unevenness."""
    return np.asarray(1.0 / (1.0 / t2_ms + 1.0 / t2_prime_ms))


def fat_phase_rad(te_ms: float, field_t: float) -> float:
    """By how much fat lags behind water at the echo of a gradient echo sequence."""
    return float(2.0 * np.pi * _FAT_SHIFT_HZ_PER_T * field_t * te_ms / 1000.0)


# TI of FLAIR nulls CSF of T1 = 4000 ms at TR 9000 ms.
SEQUENCES: dict[str, Sequence] = {
    "t1": SpoiledGradientEcho(tr_ms=20.0, te_ms=4.0, flip_deg=25.0),
    "t2": SpinEcho(tr_ms=4500.0, te_ms=95.0),
    "flair": InversionRecovery(tr_ms=9000.0, te_ms=110.0, ti_ms=2370.0),
    "pd": SpinEcho(tr_ms=3000.0, te_ms=15.0),
}


FloatArray = NDArray[np.float64]
FloatVoxels = NDArray[np.float32]

# A fully relaxed water signal would be this many units, chosen by sequence so that tissues fill 0
# to about 1000, as the magnitude images of scanners do.
_MR_UNITS = {SpoiledGradientEcho: 3800.0, SpinEcho: 1300.0, InversionRecovery: 2600.0}

# Texture inside one tissue, standard deviations: of the MR signal as a share of it, of CT in HU.
# Fat is crossed by septa, bone and marrow by trabeculae; the brain is nearly even.
_MR_TEXTURE = {
    Tissue.FAT: 0.10, Tissue.MUSCLE: 0.07, Tissue.MARROW: 0.15, Tissue.DIPLOE: 0.15,
    Tissue.MUCOSA: 0.12,
}  # fmt: skip
_MR_TEXTURE_ELSE = 0.025
_CT_TEXTURE_HU = {
    Tissue.AIR: 0.0,
    Tissue.FAT: 9.0,
    Tissue.MUSCLE: 7.0,
    Tissue.CORTICAL_BONE: 90.0,
    Tissue.MARROW: 110.0,
    Tissue.DIPLOE: 110.0,
    Tissue.OTIC_BONE: 60.0,
    Tissue.TOOTH: 60.0,
    Tissue.ENAMEL: 60.0,
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
    spread = by_tissue(np.clip(rng.standard_normal(INDEPENDENT), -1.5, 1.5))
    value = [PROPERTIES[t].hu + PROPERTIES[t].hu_sd * spread[t] for t in Tissue]
    texture = [_CT_TEXTURE_HU.get(t, _CT_TEXTURE_ELSE_HU) for t in Tissue]
    return TissueTable(np.array(value), np.array(texture))


def mr_table(sequence: Sequence, rng: np.random.Generator) -> TissueTable:
    """Draw a subject's MR signal by tissue, in scanner units.

    PD, T1 and T2 vary by 3, 5 and 5 % between subjects, fluid's T1 not, so that FLAIR nulls it.
    """
    drawn = by_tissue(np.clip(rng.standard_normal((3, INDEPENDENT)), -2.0, 2.0))
    jitter = 1.0 + drawn * [[0.03], [0.05], [0.05]]
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
