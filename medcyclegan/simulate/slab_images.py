"""Turn a slab of tissue into an MR slab of random contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.contrasts import Contrast, contrast_of, draw_contrast, draw_sequence
from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.scanner import (
    Image,
    disturb,
    lose_beside_air,
    receive,
    sample_k_space,
)
from medcyclegan.simulate.slab_anatomy import TissueSlab
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import Tissue

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
