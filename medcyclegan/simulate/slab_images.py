"""Turn a slab of tissue into an MR slab of random contrast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.sequences import (
    InversionRecovery,
    Sequence,
    SpinEcho,
    SpoiledGradientEcho,
)
from medcyclegan.simulate.slab_anatomy import TissueSlab
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import Tissue, column

# Share of each tissue in a whole head, in percent: a rough estimate, for label maps do not tell fat
# from muscle. Only the signal's upper percentile, which sets the display range, is taken from it.
_SHARE = {Tissue.FAT: 22, Tissue.MUSCLE: 25, Tissue.SKIN: 8, Tissue.GREY_MATTER: 15,
          Tissue.WHITE_MATTER: 13, Tissue.CSF: 10, Tissue.MARROW: 6}  # fmt: skip

# How often each sequence is drawn. FLAIR, with bone and fluid both dark, takes longest to learn.
_SEQUENCE_SHARE = {"se_t1": 0.15, "spgr": 0.15, "mprage": 0.2, "t2": 0.2, "flair": 0.22, "pd": 0.08}

_COLUMNS = ("proton_density", "t1_ms", "t2_ms")
_TABLE = {name: column(name) for name in _COLUMNS}


def render_mr(slab: TissueSlab, *, signal: NDArray[np.float64], rng: Rng) -> Field:
    """Return the MR of a slab, float32 (D, H, W): 0 no signal, 1 where the display range ends.

    ``signal`` is that of every tissue, (number of tissues,), as ``draw_contrast`` gives it.
    """
    values = signal.astype(np.float32)[slab.tissue]
    return acquire_mr(slab, values, range_end=display_range(signal), rng=rng)


def acquire_mr(slab: TissueSlab, values: Field, *, range_end: float, rng: Rng) -> Field:
    """Return what a scanner makes of the signal ``values`` (D * S, H, W) of a slab's samples.

    The result is float32 (D, H, W), about 1 where the signal is ``range_end``.
    """
    grid = slab.grid
    values = values * (1.0 + rng.uniform(0.02, 0.12) * grid.field(rng, rng.uniform(3.0, 12.0)))
    marrow = slab.tissue == Tissue.MARROW
    values = np.where(marrow, values * (1.0 + 0.35 * grid.field(rng, 8.0)), values)
    values = _shift_fat(values, slab.tissue, rng)
    values = values * np.exp(rng.uniform(0.0, 0.35) * grid.field(rng, rng.uniform(60.0, 180.0)))
    mr = grid.average_sub_slices(np.maximum(values, 0.0))
    mr = _point_spread(mr, rng)
    mr = _disturb(mr, rng)
    upper = range_end * rng.uniform(0.85, 1.45)
    return (mr / np.float32(upper)).astype(np.float32)


def draw_contrast(rng: Rng) -> NDArray[np.float64]:
    """Draw the signal of every tissue, (number of tissues,), the largest being 1.

    Most are sequences with their parameters and the tissues' varied, one in seven is free:
    what is learned must not hang on one protocol.
    """
    if rng.random() < 0.85:
        return _vary_tissues(_physical_contrast(rng, draw_sequence), rng)
    return _vary_tissues(rng.uniform(0.05, 1.0, len(Tissue)), rng)


def draw_signal(sequence: Sequence, rng: Rng) -> NDArray[np.float64]:
    """Draw the signal of every tissue in a sequence, (number of tissues,), the largest being 1."""
    return _vary_tissues(_physical_contrast(rng, lambda _: sequence), rng)


def _vary_tissues(signal: NDArray[np.float64], rng: Rng) -> NDArray[np.float64]:
    """Draw marrow, fat suppression, blood and bone; scale the largest signal to 1."""
    fat_share = rng.uniform(0.1, 1.0)
    marrow = fat_share * signal[Tissue.FAT] + (1.0 - fat_share) * signal[Tissue.MUSCLE]
    signal[Tissue.MARROW] = marrow * rng.uniform(0.35, 1.1)
    if rng.random() < 0.22:
        saturation = rng.uniform(0.05, 0.5)
        signal[Tissue.FAT] *= saturation
        signal[Tissue.MARROW] *= saturation
    signal[Tissue.BLOOD] *= rng.uniform(0.0, 1.4)
    signal[Tissue.AIR] = 0.0
    peak = signal.max()
    signal[Tissue.CORTICAL_BONE] = rng.uniform(0.0, 0.12) * peak
    signal[Tissue.TOOTH] = rng.uniform(0.0, 0.08) * peak
    return np.asarray(signal / peak)


def _physical_contrast(rng: Rng, draw: Callable[[Rng], Sequence]) -> NDArray[np.float64]:
    n = len(Tissue)
    t2_ms = _TABLE["t2_ms"] * rng.normal(1.0, 0.12, n).clip(0.6, 1.4)
    # echo trains keep fat bright beyond its T2 (J-coupling; Henkelman et al., JMRI 1992, 2:533)
    t2_ms[Tissue.FAT] *= rng.uniform(1.0, 2.2)
    return draw(rng).signal(
        _TABLE["proton_density"] * rng.normal(1.0, 0.05, n).clip(0.8, 1.2),
        _TABLE["t1_ms"] * rng.normal(1.0, 0.12, n).clip(0.6, 1.4),
        t2_ms,
    )


def draw_sequence(rng: Rng, shares: Mapping[str, float] = _SEQUENCE_SHARE) -> Sequence:
    """Draw one of the usual head sequences with parameters in their usual ranges.

    ``shares`` says how often each kind is drawn; they add up to 1.
    """
    kind = rng.choice(list(shares), p=list(shares.values()))
    if kind == "se_t1":
        return SpinEcho(tr_ms=rng.uniform(400, 750), te_ms=rng.uniform(8, 20))
    if kind == "spgr":
        flip_deg = rng.uniform(15, 35)
        return SpoiledGradientEcho(rng.uniform(8, 30), rng.uniform(2, 6), flip_deg)
    if kind == "mprage":
        return InversionRecovery(rng.uniform(1500, 2500), rng.uniform(2, 5), rng.uniform(700, 1100))
    if kind == "t2":
        return SpinEcho(tr_ms=rng.uniform(2500, 7000), te_ms=rng.uniform(70, 130))
    if kind == "flair":
        tr_ms, csf_t1_ms = rng.uniform(6000, 11000), rng.uniform(3700, 4300)
        null_ms = csf_t1_ms * (np.log(2.0) - np.log1p(np.exp(-tr_ms / csf_t1_ms)))
        return InversionRecovery(tr_ms, rng.uniform(80, 140), float(null_ms))
    return SpinEcho(tr_ms=rng.uniform(2000, 4000), te_ms=rng.uniform(10, 35))


def _shift_fat(values: Field, tissue: NDArray[np.uint8], rng: Rng) -> Field:
    """Chemical shift: at times the fat signal lies up to 2 pixels off along one in-plane axis."""
    if rng.random() > 0.3:
        return values
    fatty = (tissue == Tissue.FAT) | (tissue == Tissue.MARROW)
    fat = np.where(fatty, values, np.float32(0.0))
    pixels, axis = int(rng.choice([-2, -1, 1, 2])), int(rng.choice([1, 2]))
    return values - fat + np.roll(fat, pixels, axis=axis)


def _point_spread(mr: Field, rng: Rng) -> Field:
    """Blur in the plane, at times more along one axis (phase encoding)."""
    sigma = np.full(2, rng.uniform(0.4, 1.0)) + (rng.random(2) < 0.2) * rng.uniform(0.0, 0.8)
    return np.asarray(ndimage.gaussian_filter(mr, (0.0, sigma[0], sigma[1])), dtype=np.float32)


def _disturb(mr: Field, rng: Rng) -> Field:
    """Ghost at times, gain between slices at times, and Rician noise always."""
    if rng.random() < 0.1:
        shift = int(rng.integers(15, max(16, mr.shape[1] // 2)))
        mr = mr + rng.uniform(0.01, 0.06) * np.roll(mr, shift, axis=int(rng.choice([1, 2])))
    if rng.random() < 0.2:
        mr = mr * rng.normal(1.0, 0.05, (mr.shape[0], 1, 1)).astype(np.float32)
    sd = np.float32(rng.uniform(0.003, 0.05))
    real = mr + sd * rng.standard_normal(mr.shape, dtype=np.float32)
    imaginary = sd * rng.standard_normal(mr.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def display_range(signal: NDArray[np.float64]) -> float:
    """The signal below which 97 % of a head's tissue lies."""
    tissues = sorted(_SHARE, key=lambda tissue: -signal[tissue])
    above = 0.0
    for tissue in tissues:
        above += _SHARE[tissue]
        if above >= 3.0:
            return float(signal[tissue])
    return float(signal[tissues[-1]])
