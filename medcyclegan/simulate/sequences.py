"""Signal equations of the sequences in clinical head protocols (Bernstein, Handbook of MRI Pulse
Sequences, 2004). Times are in milliseconds, angles in degrees; the signal is relative to a fully
relaxed proton density of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
