"""Piecewise linear curves from HU to physical quantities, and the published ones.

Attenuation at 511 keV: J P J Carney, D W Townsend, V Rappoport and B Bendriem, "Method for
transforming CT images for attenuation correction in PET/CT imaging", Med Phys 33 (2006) 976-983.

Mass density: W Schneider, T Bortfeld and W Schlegel, "Correlation between CT numbers and tissue
parameters needed for Monte Carlo simulations of clinical dose distributions", Phys Med Biol 45
(2000) 459-478.

Proton stopping power of tissue by its mass density: M Fippel and M Soukup, "A Monte Carlo dose
calculation algorithm for proton therapy", Med Phys 31 (2004) 2263-2273.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import UsageError

QuantityName = Literal["rsp", "red", "mu511", "density"]
DerivedUnit = Literal["relative to water", "1/cm", "g/cm3"]


@dataclass(frozen=True)
class Quantity:
    """What is derived: its unit, and what water at 0 HU has of it."""

    name: QuantityName
    title: str
    unit: DerivedUnit
    of_water: float


QUANTITIES: dict[str, Quantity] = {
    "rsp": Quantity("rsp", "proton stopping power", "relative to water", 1.0),
    "red": Quantity("red", "electron density", "relative to water", 1.0),
    "mu511": Quantity("mu511", "attenuation at 511 keV", "1/cm", 0.096),
    "density": Quantity("density", "mass density", "g/cm3", 1.0),
}

# The number of -1000 HU is that of air, by definition; 3071 is the largest that scanners store in
# 12 bits. The publications give their last piece no upper end.
LOWEST_HU, HIGHEST_HU = -1000.0, 3071.0

# Carney et al. 2006, by kVp: slope a (1/cm per HU) and offset b (1/cm) above the break point (HU).
CARNEY_2006 = {
    80: (3.64e-5, 6.26e-2, 50.0),
    100: (4.43e-5, 5.44e-2, 52.0),
    110: (4.92e-5, 4.88e-2, 43.0),
    120: (5.10e-5, 4.71e-2, 47.0),
    130: (5.51e-5, 4.24e-2, 37.0),
    140: (5.64e-5, 4.08e-2, 30.0),
}
_CARNEY_BELOW = 9.6e-5  # 1/cm per HU above -1000, for all voltages

# Schneider et al. 2000: densities (g/cm3) at the ends of the first section, air and adipose tissue,
# and (upper end in HU, g/cm3 at 0 HU, g/cm3 per HU) of the others.
_SCHNEIDER_AIR, _SCHNEIDER_ADIPOSE = 1.21e-3, 0.93
_SCHNEIDER_FIRST_END_HU = -98.0
_SCHNEIDER_SECTIONS = (
    (14.0, 1.018, 0.893e-3),
    (23.0, 1.03, 0.0),
    (100.0, 1.003, 1.169e-3),
    (HIGHEST_HU, 1.017, 0.592e-3),
)

# Fippel and Soukup 2004: mass stopping power relative to water at two densities (g/cm3), air and
# lung, and from 0.9 g/cm3 on by a formula.
_FIPPEL_AIR, _FIPPEL_LUNG = (0.0012, 0.8815), (0.26, 0.9925)
_FIPPEL_FORMULA_FROM = 0.9
# Near the middle of the energies of a treatment; from 70 to 200 MeV neither the value of dense bone
# nor that of soft tissue changes by more than 0.5 %.
PROTON_MEV = 100.0
# Straight lines of this length differ from the product of the two by less than 0.002.
_KNOT_DISTANCE_HU = 25.0


@dataclass(frozen=True)
class Curve:
    """A quantity as a function of HU, linear in pieces; pieces need not meet.

    ``edges_hu`` (n + 1) rise strictly. Piece i holds above ``edges_hu[i]`` up to, and with,
    ``edges_hu[i + 1]``; the first holds at its lower edge too. Its value is ``offsets[i] +
    slopes[i] * hu`` in the quantity's unit. ``kvp`` is the tube voltage of the CT that the curve is
    for, None if it states none.
    """

    name: str
    edges_hu: tuple[float, ...]
    offsets: tuple[float, ...]
    slopes: tuple[float, ...]
    kvp: int | None = None

    def __post_init__(self) -> None:
        numbers = (*self.edges_hu, *self.offsets, *self.slopes)
        if not np.isfinite(numbers).all():
            raise ValueError(f"{self.name}: a number is not finite")
        if (np.diff(self.edges_hu) <= 0).any():
            raise ValueError(f"{self.name}: the edges do not rise strictly")
        if not len(self.edges_hu) - 1 == len(self.offsets) == len(self.slopes) >= 1:
            raise ValueError(f"{self.name}: edges, offsets and slopes do not go together")

    @property
    def lowest_hu(self) -> float:
        """The lower end of the curve."""
        return self.edges_hu[0]

    @property
    def highest_hu(self) -> float:
        """The upper end of the curve."""
        return self.edges_hu[-1]

    def at(self, hu: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Return the curve's values, in the shape of ``hu``.

        Beyond its ends the curve keeps the value that it has there. Nothing is clamped at 0.
        """
        inside = np.clip(np.asarray(hu, dtype=np.float64), self.lowest_hu, self.highest_hu)
        piece = np.searchsorted(self.edges_hu[1:-1], inside, side="left")
        return np.asarray(self.offsets)[piece] + np.asarray(self.slopes)[piece] * inside


def through(name: str, hu: Sequence[float], values: Sequence[float]) -> Curve:
    """Return the curve of straight lines from knot to knot; ``hu`` rises strictly, two or more."""
    x, y = np.asarray(hu, dtype=np.float64), np.asarray(values, dtype=np.float64)
    slopes = np.diff(y) / np.diff(x)
    offsets = y[:-1] - slopes * x[:-1]
    return Curve(name, tuple(x.tolist()), tuple(offsets.tolist()), tuple(slopes.tolist()))


def carney_2006(kvp: int) -> Curve:
    """Return attenuation at 511 keV (1/cm) by Carney et al. 2006, for a CT of this tube voltage.

    Below the break point it is 9.6e-5 (HU + 1000), above it a (HU + 1000) + b.

    Raises
    ------
    UsageError
        If the publication has no line for this voltage.
    """
    if kvp not in CARNEY_2006:
        known = ", ".join(str(each) for each in CARNEY_2006)
        raise UsageError(
            f"mu511 for {kvp} kVp",
            rule=f"Carney et al. 2006 give it for {known} kVp",
            remedy="give the nearest of them with --kvp, or your scanner's own curve with --curve",
        )
    slope, offset, break_hu = CARNEY_2006[kvp]
    return Curve(
        f"Carney et al. 2006, {kvp} kVp",
        edges_hu=(LOWEST_HU, break_hu, HIGHEST_HU),
        offsets=(1000 * _CARNEY_BELOW, 1000 * slope + offset),
        slopes=(_CARNEY_BELOW, slope),
        kvp=kvp,
    )


def schneider_2000() -> Curve:
    """Return mass density (g/cm3) by Schneider et al. 2000; the publication ties it to no voltage.

    The density falls by 0.044 g/cm3 at 100 HU, where soft tissue ends and bone begins, and by less
    than 0.001 at 14 and 23 HU: so it is published.
    """
    first = through("", (LOWEST_HU, _SCHNEIDER_FIRST_END_HU), (_SCHNEIDER_AIR, _SCHNEIDER_ADIPOSE))
    return Curve(
        "Schneider et al. 2000",
        edges_hu=(*first.edges_hu, *(end for end, _, _ in _SCHNEIDER_SECTIONS)),
        offsets=(*first.offsets, *(offset for _, offset, _ in _SCHNEIDER_SECTIONS)),
        slopes=(*first.slopes, *(slope for _, _, slope in _SCHNEIDER_SECTIONS)),
    )


def fippel_soukup_2004(density: NDArray[np.float64], mev: float) -> NDArray[np.float64]:
    """Return proton stopping power relative to water by mass density (g/cm3), in its shape.

    Fippel and Soukup 2004 give the mass stopping power f relative to water for protons of ``mev``
    (MeV); what is returned is density times f. Between air, lung and 0.9 g/cm3 f is a line.
    """

    def formula(rho: NDArray[np.float64]) -> NDArray[np.float64]:
        at_water = 1.0123 - 3.386e-5 * mev
        return np.asarray(at_water + 0.291 * (1.0 + mev**-0.3421) * (rho**-0.7 - 1.0))

    dense = np.maximum(density, _FIPPEL_FORMULA_FROM)
    start = float(formula(np.array(_FIPPEL_FORMULA_FROM)))
    densities = (_FIPPEL_AIR[0], _FIPPEL_LUNG[0], _FIPPEL_FORMULA_FROM)
    thin = np.interp(density, densities, (_FIPPEL_AIR[1], _FIPPEL_LUNG[1], start))
    return density * np.where(density < _FIPPEL_FORMULA_FROM, thin, formula(dense))


def proton_stopping_power(mev: float = PROTON_MEV) -> Curve:
    """Return proton stopping power relative to water by HU, from two published relations.

    Mass density by Schneider et al. 2000, and of it the stopping power by Fippel and Soukup 2004,
    in straight lines of 25 HU. It is for comparing two images; a plan needs the curve of the
    scanner that made the CT. At 0 HU it holds soft tissue of 1.018 g/cm3, whose value is 1.023:
    water itself, at 1, is no tissue.
    """
    density = schneider_2000()
    edges, offsets, slopes = [density.lowest_hu], list[float](), list[float]()
    ends = pairwise(density.edges_hu)
    for (low, high), offset, slope in zip(ends, density.offsets, density.slopes, strict=True):
        knots = np.linspace(low, high, max(2, 1 + math.ceil((high - low) / _KNOT_DISTANCE_HU)))
        part = through("", knots.tolist(), fippel_soukup_2004(offset + slope * knots, mev).tolist())
        edges += part.edges_hu[1:]
        offsets += part.offsets
        slopes += part.slopes
    return Curve(
        f"density by Schneider et al. 2000, stopping power by Fippel and Soukup 2004, {mev:g} MeV",
        tuple(edges),
        tuple(offsets),
        tuple(slopes),
    )
