"""The two sides of a training pair: an acquired image to learn from, a clean one to be learned.

Both are of one slab of tissue. What is learned has no noise, no shading and one protocol: with
several, the network could only learn their mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.contrasts import (
    contrast_in,
    draw_acquisition,
    draw_kind,
    draw_sequence_of,
)
from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.sequences import SEQUENCES, Sequence, SpinEcho
from medcyclegan.simulate.slab_anatomy import TissueSlab
from medcyclegan.simulate.slab_ct import render_ct
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.slab_images import (
    acquire_mr,
    darken_marrow,
    display_range,
    render_mr,
)
from medcyclegan.simulate.tissues import Tissue, column

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
# The means of what ``contrast_in`` draws: fat, muscle and skin in echo trains, and how the signal
# of marrow falls with the share of bone in it.
_FAT_T2_GAIN = 1.6
_TRAIN_T2_MS = {Tissue.MUSCLE: 55.0, Tissue.SKIN: 55.0}
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


def standard_signal(kind: str) -> NDArray[np.float64]:
    """The mean signal of every tissue in the standard ``t1`` or ``t2``, (number of tissues,)."""
    t2_ms = column("t2_ms")
    t2_ms[Tissue.FAT] *= _FAT_T2_GAIN
    if isinstance(SEQUENCES[kind], SpinEcho):
        for tissue, train_ms in _TRAIN_T2_MS.items():
            t2_ms[tissue] = train_ms
    signal = SEQUENCES[kind].signal(column("proton_density"), column("t1_ms"), t2_ms)
    signal[Tissue.MARROW] = 0.7 * (0.55 * signal[Tissue.FAT] + 0.45 * signal[Tissue.MUSCLE])
    signal[Tissue.BLOOD] *= 0.7
    signal[Tissue.AIR] = 0.0
    signal[Tissue.CORTICAL_BONE] = 0.06 * signal.max()
    signal[Tissue.TOOTH] = 0.04 * signal.max()
    return np.asarray(signal / signal.max())


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
