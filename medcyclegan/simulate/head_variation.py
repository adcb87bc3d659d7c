"""What differs from head to head in bone and sinuses, drawn once a head before any slab is placed.

A slab then gets what that head has there, and a volume as large as the head is one head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.skull_regions import AirKind, BonePart
from medcyclegan.simulate.slab_grid import Rng

Array = NDArray[np.float32]

# Thickness of the skull against that of the label map: from .6 to 1.5, by a head's draw and by
# part of the braincase (frontal 8 +- 2 mm, parietal 7 +- 1.4, occipital 8 +- 2.5 in adults: Lillie
# et al., J. Forensic Sci. 2016, 61:66, give spreads of a fifth to a third within a region).
_THICKNESS, _THICKNESS_SD = (0.6, 1.5), 0.22
# Size of the brain in its skull, by which the gap between them is 0 to some 8 mm wide.
_BRAIN_SIZE, _OWN_BRAIN_SIZE = (0.92, 1.03), 0.5
# What label and threshold leave open about where the surface of bone lies, millimetres.
_SURFACE_MM = (-0.3, 0.4)
# Compact tables of the vault, millimetres (outer 1.5, inner 1.0 to 1.5 on average).
_TABLE_MM = (0.7, 1.8)
# Share of bone in marrow spaces by part of the skull, so that 1900 HU times it is the HU of CT:
# vault 430 to 1070, clivus and sphenoid 200 to 600, jaw and vertebrae 150 to 500 HU.
_MARROW_SHARE = {
    BonePart.VAULT: (0.22, 0.56),
    BonePart.BASE: (0.10, 0.30),
    BonePart.FACE: (0.10, 0.25),
    BonePart.SPINE: (0.08, 0.25),
    BonePart.TEMPORAL: (0.25, 0.60),
}
# Compact bone 1370 to 1900 HU, the otic capsule 1800 to 2200 HU, as shares of 1900 HU. Skulls in
# CT of 1 mm have a 99th percentile of 1430 to 1840 HU.
_COMPACT_SHARE, _OTIC_SHARE = (0.72, 1.0), (0.95, 1.16)
_OTIC_RADIUS_MM = (6.0, 9.0)
# Temporal bone: the share that is air, how large the cells are, how often they hold fluid.
_PNEUMATISATION, _CELLS_MM, _EFFUSION = (0.0, 0.6), (1.8, 3.6), 0.06
# Sinuses: how far their walls move, how often frontal ones are missing, how thick mucosa is where
# it is swollen, and how often; how often there is a level of fluid, and how often no air is left.
_GROWTH_MM = {
    AirKind.FRONTAL: (-4.0, 6.0),
    AirKind.MAXILLARY: (-3.0, 5.0),
    AirKind.SPHENOID: (-4.0, 5.0),
}
_NO_FRONTAL = 0.08
_MUCOSA_MM, _SWOLLEN, _FLUID, _OPAQUE = (1.0, 6.0), 0.33, 0.06, 0.02
_SINUSES = tuple(_GROWTH_MM)
_GONE_MM = -40.0


@dataclass(frozen=True, eq=False)
class HeadVariation:
    """One head's bone and sinuses; by kind of air (2, 8): left and right, ``AirKind``."""

    thickness: float
    surface_mm: float
    table_mm: float
    follow_labels: bool
    marrow_share: Array  # by BonePart
    compact_share: float
    otic_share: float
    otic_radius_mm: float
    pneumatisation: Array  # left, right
    cells_mm: float
    effusion: NDArray[np.bool_]  # left, right
    brain_size: float
    growth_mm: Array
    mucosa_mm: Array
    fluid_share: Array  # how much of a sinus's extent from back to front is under fluid


def draw_variation(rng: Rng) -> HeadVariation:
    """Draw one head; always as many numbers, so that what follows does not depend on them."""
    low, high = np.array([_MARROW_SHARE[part] for part in BonePart]).T
    return HeadVariation(
        thickness=float(np.clip(rng.normal(1.0, _THICKNESS_SD), *_THICKNESS)),
        surface_mm=float(rng.uniform(*_SURFACE_MM)),
        table_mm=float(rng.uniform(*_TABLE_MM)),
        follow_labels=bool(rng.random() < 0.4),
        marrow_share=rng.uniform(low, high).astype(np.float32),
        compact_share=float(rng.uniform(*_COMPACT_SHARE)),
        otic_share=float(rng.uniform(*_OTIC_SHARE)),
        otic_radius_mm=float(rng.uniform(*_OTIC_RADIUS_MM)),
        pneumatisation=_both_sides(rng, _PNEUMATISATION),
        cells_mm=float(rng.uniform(*_CELLS_MM)),
        effusion=rng.random(2) < _EFFUSION,
        brain_size=_draw_brain_size(rng),
        growth_mm=_draw_growth(rng),
        mucosa_mm=_draw_mucosa(rng),
        fluid_share=_draw_fluid(rng),
    )


def _draw_brain_size(rng: Rng) -> float:
    """Half of the brains are as large as the label map has them."""
    size, own = rng.uniform(*_BRAIN_SIZE), rng.random() < _OWN_BRAIN_SIZE
    return float(size) if own else 1.0


def _both_sides(rng: Rng, limits: tuple[float, float]) -> Array:
    """Left and right, alike but not the same."""
    low, high = limits
    sides = rng.uniform(low, high) + rng.normal(0.0, 0.15 * (high - low), 2)
    return np.clip(sides, low, high).astype(np.float32)


def _draw_growth(rng: Rng) -> Array:
    growth = np.zeros((2, 8), dtype=np.float32)
    for kind, limits in _GROWTH_MM.items():
        growth[:, kind] = _both_sides(rng, limits)
    if rng.random() < _NO_FRONTAL:
        growth[:, AirKind.FRONTAL] = _GONE_MM
    growth[:, AirKind.MASTOID] = _GONE_MM  # its cells are drawn on their own
    return growth


def _draw_mucosa(rng: Rng) -> Array:
    mucosa = np.zeros((2, 8), dtype=np.float32)
    kinds = [*_SINUSES, AirKind.ETHMOID]
    thick = rng.uniform(*_MUCOSA_MM, (2, len(kinds)))
    swollen = (rng.random() < _SWOLLEN) & (rng.random((2, len(kinds))) < 0.7)
    opaque = rng.random((2, len(kinds))) < _OPAQUE
    mucosa[:, kinds] = np.where(opaque, -_GONE_MM, np.where(swollen, thick, 0.0))
    return mucosa


def _draw_fluid(rng: Rng) -> Array:
    share = np.zeros((2, 8), dtype=np.float32)
    filled = rng.uniform(0.15, 0.6, (2, len(_SINUSES)))
    share[:, list(_SINUSES)] = np.where(rng.random(filled.shape) < _FLUID, filled, 0.0)
    return share
