"""Draw the contrast of an MR: which sequence, at which field, with which tissue and agent.

What is learned must not hang on one protocol, so that parameters are drawn over the ranges of
clinical head protocols (Bernstein, Handbook of MRI Pulse Sequences, 2004), tissues over the spread
between people, and one contrast in seven is free: any signal for any tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.acquisition import (
    SEQUENCES,
    InversionRecovery,
    Sequence,
    SpinEcho,
    SpoiledGradientEcho,
    fat_phase_rad,
    nulling_ti_ms,
    reads_gradient_echoes,
    t2_star_ms,
)
from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import INDEPENDENT, PROPERTIES, Tissue, by_tissue, column

# How often each kind is drawn. FLAIR, with bone and fluid both dark, takes longest to learn.
SHARES = {
    "se_t1": 0.11, "spgr": 0.10, "mprage": 0.14, "t1_flair": 0.03, "dixon": 0.04, "t2": 0.20,
    "flair": 0.26, "pd": 0.05, "stir": 0.04, "t2_star": 0.03,
}  # fmt: skip
_FREE_SHARE = 0.15
_T1_WEIGHTED = ("se_t1", "spgr", "mprage", "t1_flair", "dixon")
_ECHO_TRAINS = ("t2", "flair", "pd", "stir")

# Ranges of TR and TE, in ms, of TR, TE and the flip angle in degrees, and of TR and TE.
_SPIN_ECHOES = {
    "se_t1": ((400, 750), (8, 20)), "t2": ((2500, 7000), (70, 130)), "pd": ((2000, 4000), (10, 35)),
}  # fmt: skip
_SPOILED = {
    "spgr": ((8, 30), (2, 6), (15, 35)), "dixon": ((4, 10), (1.1, 3.6), (8, 15)),
    "t2_star": ((400, 800), (12, 30), (15, 30)),
}  # fmt: skip
_INVERSIONS = {
    "mprage": ((1500, 2500), (2, 5)), "t1_flair": ((1800, 3000), (8, 25)),
    "flair": ((6000, 11000), (80, 140)), "stir": ((3000, 6000), (15, 80)),
}  # fmt: skip
# What an inversion nulls: fluid, or fat; T1-FLAIR nulls fluid not wholly.
_NULLED_T1_MS = {"t1_flair": (3300, 4300), "flair": (3700, 4300), "stir": (260, 360)}
_TI_SHARE = {"t1_flair": (0.8, 1.0)}

# Fields of scanners in tesla, and how often. T1 grows with about the power 0.3 of the field
# (Bottomley et al., Med Phys 1984, 11:425), fat's with a third of that, a fluid's not at all; the
# tissues' table holds for 2.1 T, so that the factor is 0.35 at 0.06 T, 1.4 at 7 T.
_FIELDS_T = {0.06: 0.03, 0.3: 0.03, 0.55: 0.04, 1.5: 0.42, 3.0: 0.42, 7.0: 0.06}
_TABLE_FIELD_T = 2.1
_T1_POWER, _T1_POWER_FAT = 0.3, 0.1

# T1 in ms with gadolinium in the blood, some minutes after 0.1 mmol/kg, and how often it is given.
_GADOLINIUM_SHARE = 0.3
_GADOLINIUM_T1_MS = {
    Tissue.BLOOD: (150.0, 450.0), Tissue.MUCOSA: (450.0, 800.0), Tissue.DURA: (250.0, 600.0),
}  # fmt: skip
_ENHANCED_DURA_T2_MS = (25.0, 60.0)
_GADOLINIUM_T1_FACTOR = {
    Tissue.MUSCLE: 0.8,
    Tissue.SKIN: 0.7,
    Tissue.GLAND: 0.65,
    Tissue.MARROW: 0.8,
}

# Echo trains keep muscle and skin brighter than their T2 lets expect, by stimulated echoes and
# early echoes in the middle of k-space (Hennig, Concepts MR 1991, 3:179), and fat by J-coupling
# (Henkelman et al., JMRI 1992, 2:533).
_TRAIN_T2_MS = {Tissue.MUSCLE: (32.0, 68.0), Tissue.SKIN: (30.0, 120.0), Tissue.TENDON: (3.0, 10.0)}
_FAT_T2_GAIN = (1.0, 2.2)
# Skin holds 45 to 75 % of its weight in water, the horny layer far less.
_SKIN_DENSITY = (0.45, 1.15)
# Spread of proton density, T1 and T2 between people. Fluid's T1 is 4.3 +- 0.2 s at any field
# (Rooney et al., MRM 2007, 57:308), so that a protocol's FLAIR nulls that of all.
_TISSUE_SD, _FLUID_T1_SD = (0.05, 0.12, 0.12), 0.04
# T2' in gradient echoes, ms: brain and muscle about 60 to 200 at 1.5 to 3 T, less at 7 T.
_T2_PRIME_MS = (50.0, 200.0)
# Marrow beside fat in echo trains; and the power by which its signal falls with the share of
# trabecular bone: volume alone gives 1, and bone's susceptibility dephases gradient echoes more
# (Wehrli et al., NMR Biomed 2006, 19:731).
_MARROW_IN_TRAINS = (0.2, 0.8)
_MARROW_DENSITY = (0.3, 1.05)
_TRABECULAR_POWER, _TRABECULAR_POWER_GRADIENT = (0.8, 1.3), (1.2, 2.0)
# How often fat is suppressed, and what is then left of it.
_FAT_SUPPRESSED = {"flair": 0.5, "t2": 0.25, "pd": 0.25, "stir": 0.0, "dixon": 0.5}
_FAT_SUPPRESSED_ELSE = 0.12
_FAT_LEFT = (0.03, 0.5)
# Blood that flows out before a spin echo gives none or little signal, slow blood some; into
# gradient echoes it flows unsaturated.
_VOID, _SLOW, _INFLOW = (0.0, 0.5), (0.5, 1.3), (1.0, 2.5)
# The most that bone and teeth give beside the brain: T2 of their water is below 1 ms.
_BONE_TO_BRAIN, _TOOTH_TO_BRAIN = 0.12, 0.08
_DIPLOE_TO_MARROW = (
    PROPERTIES[Tissue.DIPLOE].proton_density / PROPERTIES[Tissue.MARROW].proton_density
)
# Share of fat in the signal of tissues, in phase.
_FAT_IN_FAT, _FAT_IN_GLAND = 0.92, 0.25


@dataclass(frozen=True, eq=False)
class Contrast:
    """What an MR shows of each tissue.

    ``signal`` (number of tissues,) has the largest at 1; ``fat`` (number of tissues,) is the share
    of it that is of fat, which lags behind water by ``fat_phase_rad``. ``trabecular_power`` tells
    how the signal of marrow falls with the share of bone in it, ``dephasing`` how much signal is
    lost beside air: 0 for spin echoes, about 1 for an echo time of 10 ms at 3 T.
    """

    signal: NDArray[np.float64]
    fat: NDArray[np.float64]
    trabecular_power: float = 1.0
    fat_phase_rad: float = 0.0
    dephasing: float = 0.0


def standard_signal(kind: str) -> NDArray[np.float64]:
    """The mean signal of every tissue in a sequence of ``SEQUENCES``, (number of tissues,).

    The largest is 1. Nothing is drawn: values are the means of what ``contrast_in`` draws, at the
    table's field and without an agent.
    """
    t2_ms = column("t2_ms")
    t2_ms[Tissue.FAT] *= np.mean(_FAT_T2_GAIN)
    if not reads_gradient_echoes(SEQUENCES[kind]):
        for tissue, range_ms in _TRAIN_T2_MS.items():
            t2_ms[tissue] = np.mean(range_ms)
    signal = SEQUENCES[kind].signal(column("proton_density"), column("t1_ms"), t2_ms)
    signal[Tissue.MARROW] = 0.7 * (0.55 * signal[Tissue.FAT] + 0.45 * signal[Tissue.MUSCLE])
    signal[Tissue.BLOOD] *= 0.7
    signal[Tissue.AIR] = 0.0
    # the mean of r^2, r being drawn evenly from 0 to 1, is a third
    _darken_bone(signal, _BONE_TO_BRAIN / 3.0, _TOOTH_TO_BRAIN / 3.0)
    return np.asarray(signal / signal.max())


def contrast_of(signal: NDArray[np.float64], rng: Rng) -> Contrast:
    """Return the contrast of given signals (number of tissues,), read out by spin echoes."""
    power = rng.uniform(*_TRABECULAR_POWER)
    return Contrast(signal, np.zeros(len(Tissue)), trabecular_power=power)


def draw_acquisition(rng: Rng, shares: Mapping[str, float] = SHARES) -> Contrast:
    """Draw a contrast; ``shares`` says how often each kind of sequence is drawn."""
    if rng.random() < _FREE_SHARE:
        signal = by_tissue(rng.uniform(0.05, 1.0, INDEPENDENT))
        signal[Tissue.TENDON] = rng.uniform(0.0, 0.3)
        return contrast_of(_finish(signal, rng), rng)
    kind = draw_kind(rng, shares)
    return contrast_in(kind, draw_sequence_of(kind, rng), rng)


def draw_contrast(rng: Rng) -> NDArray[np.float64]:
    """Draw the signal of every tissue, (number of tissues,), the largest being 1."""
    return draw_acquisition(rng).signal


def contrast_in(kind: str, sequence: Sequence, rng: Rng) -> Contrast:
    """Draw field, tissue and agent for a sequence of one kind of ``SHARES``."""
    field_t = float(rng.choice(list(_FIELDS_T), p=list(_FIELDS_T.values())))
    density, t1_ms, t2_ms = _draw_tissues(rng)
    _scale_to_field(t1_ms, field_t)
    if kind in _T1_WEIGHTED and rng.random() < _GADOLINIUM_SHARE:
        _enhance(t1_ms, t2_ms, rng)
    if kind in _ECHO_TRAINS:
        for tissue, range_ms in _TRAIN_T2_MS.items():
            t2_ms[tissue] = rng.uniform(*range_ms)
    gradient = reads_gradient_echoes(sequence)
    if gradient:
        t2_prime_ms = by_tissue(rng.uniform(*_T2_PRIME_MS, INDEPENDENT))
        t2_ms = t2_star_ms(t2_ms, t2_prime_ms * min(1.0, 3.0 / field_t))
    signal = _time_for_field(sequence, kind, field_t).signal(density, t1_ms, t2_ms)
    fat = _draw_marrow(signal, kind, rng)
    _suppress_fat(signal, fat, kind, rng)
    _let_blood_flow(signal, gradient, rng)
    signal = _finish(signal, rng)
    if not gradient:
        return Contrast(signal, fat, rng.uniform(*_TRABECULAR_POWER))
    opposed_rad = np.pi * rng.uniform(0.85, 1.15)
    phase_rad = opposed_rad if kind == "dixon" else fat_phase_rad(sequence.te_ms, field_t)
    power = rng.uniform(*_TRABECULAR_POWER_GRADIENT)
    return Contrast(signal, fat, power, phase_rad, sequence.te_ms * field_t / 30.0)


def draw_kind(rng: Rng, shares: Mapping[str, float] = SHARES) -> str:
    """Draw a kind of sequence; the shares add up to 1."""
    return str(rng.choice(list(shares), p=list(shares.values())))


def draw_sequence(rng: Rng, shares: Mapping[str, float] = SHARES) -> Sequence:
    """Draw one of the usual head sequences with parameters in their usual ranges."""
    return draw_sequence_of(draw_kind(rng, shares), rng)


def draw_sequence_of(kind: str, rng: Rng) -> Sequence:
    """Draw the parameters of one kind of sequence of ``SHARES``."""
    if kind in _SPIN_ECHOES:
        return SpinEcho(*(rng.uniform(*ends) for ends in _SPIN_ECHOES[kind]))
    if kind in _SPOILED:
        return SpoiledGradientEcho(*(rng.uniform(*ends) for ends in _SPOILED[kind]))
    tr_ms, te_ms = (rng.uniform(*ends) for ends in _INVERSIONS[kind])
    if kind == "mprage":
        return InversionRecovery(tr_ms, te_ms, rng.uniform(800.0, 1200.0), gradient_echo=True)
    ti_ms = nulling_ti_ms(rng.uniform(*_NULLED_T1_MS[kind]), tr_ms)
    return InversionRecovery(tr_ms, te_ms, ti_ms * rng.uniform(*_TI_SHARE.get(kind, (1.0, 1.0))))


def _draw_tissues(rng: Rng) -> tuple[NDArray[np.float64], ...]:
    """Proton density, T1 and T2 of one person's tissues, (number of tissues,) each."""
    sds = np.repeat(np.reshape(_TISSUE_SD, (3, 1)), INDEPENDENT, axis=1)
    sds[1, [Tissue.CSF, Tissue.EYE_FLUID]] = _FLUID_T1_SD
    spread = [by_tissue(rng.normal(1.0, sd).clip(0.6, 1.4)) for sd in sds]
    names = ("proton_density", "t1_ms", "t2_ms")
    values = [column(name) * factor for name, factor in zip(names, spread, strict=True)]
    values[0][Tissue.SKIN] *= rng.uniform(*_SKIN_DENSITY)
    values[2][Tissue.FAT] *= rng.uniform(*_FAT_T2_GAIN)
    return tuple(values)


def _scale_to_field(t1_ms: NDArray[np.float64], field_t: float) -> None:
    power = np.full(len(Tissue), _T1_POWER)
    power[[Tissue.FAT, Tissue.MARROW]] = _T1_POWER_FAT
    power[[Tissue.CSF, Tissue.EYE_FLUID]] = 0.0
    t1_ms *= (field_t / _TABLE_FIELD_T) ** power


def _time_for_field(sequence: Sequence, kind: str, field_t: float) -> Sequence:
    """Times of an inversion that tells grey from white matter follow their T1, as protocols do."""
    if isinstance(sequence, InversionRecovery) and kind in ("mprage", "t1_flair"):
        factor = (field_t / _TABLE_FIELD_T) ** _T1_POWER
        ti_ms = sequence.ti_ms * (factor if kind == "mprage" else 1.0)
        return replace(sequence, tr_ms=max(sequence.tr_ms, 1.5 * ti_ms), ti_ms=ti_ms)
    return sequence


def _enhance(t1_ms: NDArray[np.float64], t2_ms: NDArray[np.float64], rng: Rng) -> None:
    """Shorten T1 where an agent goes: blood, mucosa, dura, and less so what they supply.

    What enhances in dura is the water between its fibres, which has a longer T2 than they.
    """
    t2_ms[Tissue.DURA] = rng.uniform(*_ENHANCED_DURA_T2_MS)
    for tissue, range_ms in _GADOLINIUM_T1_MS.items():
        t1_ms[tissue] = min(t1_ms[tissue], rng.uniform(*range_ms))
    for tissue, factor in _GADOLINIUM_T1_FACTOR.items():
        t1_ms[tissue] *= rng.uniform(factor, 1.0)


def _draw_marrow(signal: NDArray[np.float64], kind: str, rng: Rng) -> NDArray[np.float64]:
    """Set the signal of marrow, red to yellow; return the share of fat in every tissue's."""
    yellow = rng.uniform(0.1, 1.0)
    red = (1.0 - yellow) * signal[Tissue.MUSCLE]
    marrow = (yellow * signal[Tissue.FAT] + red) * rng.uniform(*_MARROW_DENSITY)
    if kind in _ECHO_TRAINS and kind != "stir":
        marrow = np.clip(marrow, *(share * signal[Tissue.FAT] for share in _MARROW_IN_TRAINS))
    fat = np.zeros(len(Tissue))
    fat[Tissue.FAT], fat[Tissue.GLAND] = _FAT_IN_FAT, _FAT_IN_GLAND
    fat[Tissue.MARROW] = yellow * signal[Tissue.FAT] / max(yellow * signal[Tissue.FAT] + red, 1e-9)
    signal[Tissue.MARROW] = marrow
    return fat


def _suppress_fat(
    signal: NDArray[np.float64], fat: NDArray[np.float64], kind: str, rng: Rng
) -> None:
    """At times take most of the signal of fat away, also from tissues that hold some."""
    if rng.random() < _FAT_SUPPRESSED.get(kind, _FAT_SUPPRESSED_ELSE):
        left = 1.0 - fat * (1.0 - rng.uniform(*_FAT_LEFT))
        signal *= left
        fat *= 0.0


def _let_blood_flow(signal: NDArray[np.float64], gradient: bool, rng: Rng) -> None:
    if gradient:
        signal[Tissue.BLOOD] *= rng.uniform(*_INFLOW)
    else:
        signal[Tissue.BLOOD] *= rng.uniform(*(_VOID if rng.random() < 0.7 else _SLOW))


def _finish(signal: NDArray[np.float64], rng: Rng) -> NDArray[np.float64]:
    """Darken air, bone and teeth, which ring out before any echo; scale the largest to 1."""
    signal[Tissue.AIR] = 0.0
    bone, tooth = _BONE_TO_BRAIN * rng.random() ** 2, _TOOTH_TO_BRAIN * rng.random() ** 2
    _darken_bone(signal, bone, tooth)
    return np.asarray(signal / signal.max())


def _darken_bone(signal: NDArray[np.float64], bone: float, tooth: float) -> None:
    """Set the signal of compact bone and teeth as shares of the brain's, diploe's by marrow's."""
    brain = max(signal[Tissue.GREY_MATTER], signal[Tissue.WHITE_MATTER])
    signal[[Tissue.CORTICAL_BONE, Tissue.OTIC_BONE]] = bone * brain
    signal[[Tissue.TOOTH, Tissue.ENAMEL]] = tooth * brain
    signal[Tissue.DIPLOE] = signal[Tissue.MARROW] * _DIPLOE_TO_MARROW
