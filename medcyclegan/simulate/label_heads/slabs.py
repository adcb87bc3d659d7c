"""Simulated slabs: the CT, the MR of random contrast, and the two sides of a training pair.

The two sides of a training pair: an acquired image to learn from, a clean one to be learned.
Both are of one slab of tissue. What is learned has no noise, no shading and one protocol: with
several, the network could only learn their mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.acquisition import SEQUENCES, Sequence
from medcyclegan.simulate.contrasts import (
    Contrast,
    contrast_in,
    contrast_of,
    draw_acquisition,
    draw_contrast,
    draw_kind,
    draw_sequence,
    draw_sequence_of,
    standard_signal,
)
from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.bone import bone_hu
from medcyclegan.simulate.scanner import (
    Image,
    disturb,
    lose_beside_air,
    receive,
    sample_k_space,
)
from medcyclegan.simulate.slab_grid import Field, Rng
from medcyclegan.simulate.tissues import INDEPENDENT, Tissue, by_tissue, column

_HU, _HU_SD = column("hu"), column("hu_sd")
# HU of the marrow between trabeculae, red to yellow.
_MARROW_HU = (-20.0, 40.0)
# Compact bone and marrow spaces where they are but a part of a sample.
_COMPACT_SHARE, _MARROW_SHARE = 0.9, 0.4
# The scanner's point spread in the plane, standard deviation in millimetres: that of a kernel for
# the brain, whose transfer falls to a tenth at 6 line pairs a centimetre. One for all, as no MR
# tells by which kernel a CT will be made.
_SPREAD_MM = 0.6


def render_ct(slab: TissueSlab, rng: Rng) -> Field:
    """Return the CT of a slab in HU, float32 (D, H, W), without noise: what is to be learned."""
    hu = _HU + 0.5 * _HU_SD * by_tissue(rng.standard_normal(INDEPENDENT))
    marrow_hu = float(rng.uniform(*_MARROW_HU))
    hu[Tissue.CORTICAL_BONE] = bone_hu(_COMPACT_SHARE, marrow_hu)
    hu[Tissue.MARROW] = bone_hu(_MARROW_SHARE, marrow_hu)
    values = hu.astype(np.float32)[slab.tissue]
    bone = np.isin(slab.tissue, (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.TOOTH))
    np.copyto(values, bone_hu(slab.trabecular, marrow_hu), where=bone)
    ct = slab.grid.average_sub_slices(slab.mix(values, hu))
    sigma = _SPREAD_MM / slab.grid.pixel_mm
    return np.asarray(ndimage.gaussian_filter(ct, (0.0, sigma, sigma)), dtype=np.float32)


__all__ = ["acquire_mr", "display_range", "draw_contrast", "draw_sequence", "render_mr"]

# Share of each tissue in a whole head, in percent: a rough estimate, for label maps do not tell fat
# from muscle. Only the signal's upper percentile, which sets the display range, is taken from it.
_SHARE = {Tissue.FAT: 22, Tissue.MUSCLE: 25, Tissue.SKIN: 8, Tissue.GREY_MATTER: 15,
          Tissue.WHITE_MATTER: 13, Tissue.CSF: 10, Tissue.MARROW: 6}  # fmt: skip

# The share of trabecular bone in marrow at which its signal is the one that a contrast gives.
_USUAL_TRABECULAR = 0.35
_LEAST_MARROW = 0.05
# Short echoes lose too little beside air to be worth its price.
_LEAST_DEPHASING = 0.15
# Texture of all tissue, and of marrow besides, as a share of the signal; its grain in mm.
_TEXTURE, _TEXTURE_MM = (0.02, 0.12), (3.0, 12.0)
# Fat lies off by its chemical shift in some scans, in pixels along one in-plane axis.
_FAT_OFF_SHARE, _FAT_OFF_PX = 0.3, (-2, -1, 1, 2)


def render_mr(slab: TissueSlab, *, signal: NDArray[np.float64] | Contrast, rng: Rng) -> Field:
    """Return the MR of a slab, float32 (D, H, W): 0 no signal, 1 where the display range ends.

    ``signal`` is a contrast, or the signal of every tissue, (number of tissues,).
    """
    contrast = signal if isinstance(signal, Contrast) else contrast_of(signal, rng)
    return acquire_mr(slab, slab.paint(contrast.signal), contrast=contrast, rng=rng)


def acquire_mr(slab: TissueSlab, values: Field, *, contrast: Contrast, rng: Rng) -> Field:
    """Return what a scanner makes of the signal ``values`` (D * S, H, W) of a slab's samples.

    The result is float32 (D, H, W), about 1 where the display range of the contrast ends.
    """
    grid = slab.grid
    texture = rng.uniform(*_TEXTURE) * grid.field(rng, rng.uniform(*_TEXTURE_MM))
    values = values * np.maximum(1.0 + texture, 0.0)
    values = darken_marrow(values, slab, contrast.trabecular_power)
    values = _shift_fat(values, slab.tissue, rng)
    in_phase = grid.average_sub_slices(values)
    mr: Image = in_phase
    if contrast.fat.any() and contrast.fat_phase_rad:
        mr = _let_fat_lag(in_phase, values, slab, contrast)
    if contrast.dephasing > _LEAST_DEPHASING:
        air = grid.average_sub_slices((slab.tissue == Tissue.AIR).astype(np.float32))
        mr = lose_beside_air(mr, air, grid, contrast.dephasing)
    received = receive(mr, grid, rng, slab.below_vertex_mm)
    magnitude = np.abs(sample_k_space(received, rng)).astype(np.float32)
    upper = display_range(contrast.signal) * rng.uniform(0.85, 1.45)
    return (disturb(magnitude, rng) / np.float32(upper)).astype(np.float32)


def darken_marrow(values: Field, slab: TissueSlab, power: float) -> Field:
    """Return samples' signal (D * S, H, W), that of marrow falling with the share of bone in it.

    Marrow fills 1 - phi of its spaces: the signal goes as ((1 - phi) / (1 - usual phi))^power. The
    reference is not the slab's mean, so that denser spongy bone is darker in MR as it is brighter
    in CT.
    """
    places = np.flatnonzero(slab.tissue == Tissue.MARROW)
    free = (1.0 - slab.trabecular.reshape(-1)[places]) / (1.0 - _USUAL_TRABECULAR)
    darkened = values.copy()
    darkened.reshape(-1)[places] *= np.maximum(free, _LEAST_MARROW).astype(np.float32) ** power
    return darkened


def _let_fat_lag(
    in_phase: Field, values: Field, slab: TissueSlab, contrast: Contrast
) -> NDArray[np.complex64]:
    """The complex mean of sub-slices (D, H, W), fat lagging behind water: out of phase they
    cancel where a voxel holds both."""
    lag = np.complex64(np.exp(1j * contrast.fat_phase_rad) - 1.0)
    fat = slab.grid.average_sub_slices(values * slab.paint(contrast.fat))
    return np.asarray(in_phase + fat * lag, dtype=np.complex64)


def _shift_fat(values: Field, tissue: NDArray[np.uint8], rng: Rng) -> Field:
    """Chemical shift: at times the fat signal lies up to 2 pixels off along one in-plane axis."""
    if rng.random() > _FAT_OFF_SHARE:
        return values
    fatty = (tissue == Tissue.FAT) | (tissue == Tissue.MARROW)
    fat = np.where(fatty, values, np.float32(0.0))
    pixels, axis = int(rng.choice(_FAT_OFF_PX)), int(rng.choice([1, 2]))
    return values - fat + np.roll(fat, pixels, axis=axis)


def display_range(signal: NDArray[np.float64]) -> float:
    """The signal below which 97 % of a head's tissue lies."""
    tissues = sorted(_SHARE, key=lambda tissue: -signal[tissue])
    above = 0.0
    for tissue in tissues:
        above += _SHARE[tissue]
        if above >= 3.0:
            return float(signal[tissue])
    return float(signal[tissues[-1]])


# Where the display range of a clean MR ends, in a.u.
MR_UNITS = 1000.0

# How often the sequences of a weighting are drawn for the acquired side.
_SHARES = {
    "t1": {"se_t1": 0.28, "spgr": 0.32, "mprage": 0.32, "t1_flair": 0.08},
    "t2": {"t2": 1.0},
}
# Tissues whose water content varies from place to place, and how T1 and T2 follow it: both are
# longer where there is more water, so that what is dark in T1 is bright in T2, lesions too.
_WATERY = [
    Tissue.MUSCLE, Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY, Tissue.MUCOSA,
    Tissue.CORD,
]  # fmt: skip
_T1_SHARE, _T2_SHARE, _LESION_WATER = 0.05, 0.08, 4.0
_LARGEST_CHANGE = 0.15
# How the signal of marrow falls with the share of bone in it: the middle of what is drawn.
_TRABECULAR_POWER = 1.2


def draw_water(slab: TissueSlab, rng: Rng) -> Field:
    """Draw by how much water each sample (D * S, H, W) departs from its tissue's mean.

    One is a usual departure; at times there are lesions of the white matter, of about 4.
    """
    grid = slab.grid
    water = np.clip(grid.field(rng, rng.uniform(4.0, 15.0)), -2.0, 2.0) * rng.uniform(0.0, 1.0)
    if rng.random() < 0.3:
        lesion = grid.field(rng, rng.uniform(4.0, 9.0)) > rng.uniform(1.4, 2.2)
        lesion &= slab.tissue == Tissue.WHITE_MATTER
        water = water + np.float32(_LESION_WATER * rng.uniform(0.5, 1.5)) * lesion
    return np.asarray(water, dtype=np.float32)


def acquired_side(kind: str, slab: TissueSlab, water: Field | None, rng: Rng) -> Field:
    """Return an image as a scanner gives it, float32 (D, H, W).

    ``kind`` is ``random``, ``t1`` or ``t2`` for an MR (1 where the display range ends), or ``ct``
    (HU). ``water`` is that of ``draw_water``; it counts for T1 and T2 alone.
    """
    if kind == "ct":
        return noisy_ct(render_ct(slab, rng), rng)
    if water is None or kind == "random":
        return render_mr(slab, signal=draw_acquisition(rng), rng=rng)
    drawn = draw_kind(rng, _SHARES[kind])
    sequence = draw_sequence_of(drawn, rng)
    contrast = contrast_in(drawn, sequence, rng)
    values = _signal_of(slab, water, contrast.signal, sequence)
    return acquire_mr(slab, values, contrast=contrast, rng=rng)


def clean_side(kind: str, slab: TissueSlab, water: Field | None, rng: Rng) -> Field:
    """Return the image to be learned, float32 (D, H, W): ``ct`` in HU, ``t1`` or ``t2`` in a.u."""
    if kind == "ct":
        return render_ct(slab, rng)
    signal = standard_signal(kind)
    dry = np.zeros(slab.tissue.shape, np.float32) if water is None else water
    values = _signal_of(slab, dry, signal, SEQUENCES[kind])
    values = darken_marrow(values, slab, _TRABECULAR_POWER)
    mr = ndimage.gaussian_filter(slab.grid.average_sub_slices(values), (0.0, 0.5, 0.5))
    return np.asarray(mr * np.float32(MR_UNITS / display_range(signal)), dtype=np.float32)


def noisy_ct(ct: Field, rng: Rng) -> Field:
    """Add noise of 5 to 25 HU, as fine as one of several kernels leaves it, to (D, H, W) HU."""
    sigma_px = rng.uniform(0.3, 1.2)
    noise = rng.standard_normal(ct.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0.0, sigma_px, sigma_px))
    return np.asarray(ct + noise * np.float32(rng.uniform(5.0, 25.0) / noise.std()), np.float32)


def _signal_of(
    slab: TissueSlab, water: Field, signal: NDArray[np.float64], sequence: Sequence
) -> Field:
    """The signal of every sample, (D * S, H, W): a tissue's own, changed by its water."""
    changes = np.zeros(len(Tissue))
    changes[_WATERY] = _change_by_water(sequence)[_WATERY]
    values = slab.paint(signal)
    return np.asarray(values * np.maximum(1.0 + water * slab.paint(changes), 0.0), np.float32)


def _change_by_water(sequence: Sequence) -> NDArray[np.float64]:
    """By which share of it each tissue's signal changes with one unit of water.

    Near the null of an inversion any change would be a large share: it is limited.
    """
    density, t1_ms, t2_ms = (column(name) for name in ("proton_density", "t1_ms", "t2_ms"))
    density[Tissue.AIR] = 1.0
    dry = sequence.signal(density, t1_ms, t2_ms)
    wet = sequence.signal(density, t1_ms * (1.0 + _T1_SHARE), t2_ms * (1.0 + _T2_SHARE))
    return np.clip(wet / np.maximum(dry, 1e-9) - 1.0, -_LARGEST_CHANGE, _LARGEST_CHANGE)
