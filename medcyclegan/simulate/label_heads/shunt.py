"""Ventricular shunts: a tube from a hole in the vault through the brain into a ventricle.

Rare, and there so that a network has seen one: silicone with barium sulphate in it is bright in CT
and, as bone, gives no signal in MR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.label_heads.bone import FULL_BONE_HU
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.sampling import Layers, places_in_box
from medcyclegan.simulate.slab_grid import Field, Rng
from medcyclegan.simulate.tissues import Tissue

_SHUNTED = 0.015
# Ventricular catheters: 2.5 to 2.8 mm outside, a lumen of 1.2 to 1.5 mm. Burr holes for them.
_OUTER_RADIUS_MM, _LUMEN_RADIUS_MM, _HOLE_RADIUS_MM = (1.25, 1.4), (0.6, 0.75), (2.5, 6.0)
# Tubes are filled with some 12 % of barium sulphate by weight, or have a stripe of it only.
_BARIUM_SULPHATE = (0.02, 0.12)
# Where the vault is entered from, mm from the middle of the brain: above, and to one side.
_ENTRY_ABOVE_MM, _ENTRY_ASIDE_MM = 25.0, (15.0, 50.0)
# The tube goes on beyond the vault, below the scalp.
_BEYOND_MM = 5.0

# Mass attenuation at 70 keV, cm2/g (Hubbell and Seltzer, NISTIR 5632, between 60 and 80 keV), and
# densities, g/cm3. Silicone is polydimethylsiloxane.
_BARIUM_CM2_G, _BARIUM_IN_SULPHATE, _SULPHATE_ELSE_CM2_G = 5.6, 0.588, 0.2
_SILICONE_CM2_G, _WATER_PER_CM = 0.21, 0.193
_SILICONE_G_CM3, _SULPHATE_G_CM3 = 1.13, 4.5


def silicone_hu(barium_sulphate: float) -> float:
    """HU of silicone that holds a share by weight of barium sulphate: masses attenuate."""
    sulphate = _BARIUM_IN_SULPHATE * _BARIUM_CM2_G
    sulphate += (1.0 - _BARIUM_IN_SULPHATE) * _SULPHATE_ELSE_CM2_G
    mass = barium_sulphate * sulphate + (1.0 - barium_sulphate) * _SILICONE_CM2_G
    volume = barium_sulphate / _SULPHATE_G_CM3 + (1.0 - barium_sulphate) / _SILICONE_G_CM3
    return 1000.0 * (mass / volume / _WATER_PER_CM - 1.0)


@dataclass(frozen=True, eq=False)
class Shunt:
    """A tube between two voxels (3,) of a head; radii in mm.

    ``share`` is the share of bone that has the HU of its wall.
    """

    outside: NDArray[np.float32]
    tip: NDArray[np.float32]
    outer_radius_mm: float
    lumen_radius_mm: float
    hole_radius_mm: float
    share: float

    def drilled(
        self, solid_mm: Field, points: NDArray[np.float32], spacing_mm: tuple[float, float, float]
    ) -> Field:
        """The signed distance to bone, (n,), at points (n, 3) in voxels, after the burr hole."""
        hole = self.hole_radius_mm - self._from_axis_mm(points, spacing_mm)
        return np.asarray(np.maximum(solid_mm, hole), dtype=np.float32)

    def lay(
        self,
        layers: Layers,
        share: Field,
        index: list[Field],
        spacing_mm: tuple[float, float, float],
    ) -> None:
        """Lay the tube over all else and fluid into it; its HU go into the slab's ``share``."""
        ends = np.stack([self.outside, self.tip])
        reach = np.float32(self.outer_radius_mm + 2.0) / np.asarray(spacing_mm, np.float32)
        place = places_in_box(index, ends.min(axis=0) - reach, ends.max(axis=0) + reach)
        if place.size == 0:
            return
        points = np.stack([values.reshape(-1)[place] for values in index], axis=-1)
        from_axis_mm = self._from_axis_mm(points, spacing_mm)
        layers.lay(place, from_axis_mm - np.float32(self.outer_radius_mm), Tissue.TOOTH)
        layers.lay(place, from_axis_mm - np.float32(self.lumen_radius_mm), Tissue.CSF)
        share.reshape(-1)[place[from_axis_mm < self.outer_radius_mm]] = self.share

    def _from_axis_mm(
        self, points: NDArray[np.float32], spacing_mm: tuple[float, float, float]
    ) -> Field:
        """Millimetres, (n,), from points (n, 3) in voxels to the tube's axis, its ends included."""
        spacing = np.asarray(spacing_mm, np.float32)
        along = (self.tip - self.outside) * spacing
        off = (points - self.outside) * spacing
        share = np.clip(off @ along / np.float32(along @ along), 0.0, 1.0)
        return np.asarray(np.linalg.norm(off - share[:, None] * along, axis=1), np.float32)


def draw_shunt(head: HeadAnatomy, rng: Rng) -> Shunt | None:
    """Draw a shunt; None in most heads, and where a map has no ventricles below a vault."""
    outer_mm, lumen_mm = rng.uniform(*_OUTER_RADIUS_MM), rng.uniform(*_LUMEN_RADIUS_MM)
    hole_mm = rng.uniform(*_HOLE_RADIUS_MM)
    share = silicone_hu(rng.uniform(*_BARIUM_SULPHATE)) / FULL_BONE_HU
    side, entry, tip = rng.choice((-1.0, 1.0)), rng.random(), rng.random()
    if rng.random() >= _SHUNTED:
        return None
    spacing = np.asarray(head.spacing_mm)
    off_mm = (head.vault_bone - np.asarray(head.brain_centre)) * spacing
    low, high = _ENTRY_ASIDE_MM
    above = (off_mm[:, 2] > _ENTRY_ABOVE_MM) & (side * off_mm[:, 0] > low)
    entries = head.vault_bone[above & (side * off_mm[:, 0] < high)]
    if len(entries) == 0 or len(head.ventricles) == 0:
        return None
    vault = entries[int(entry * len(entries))].astype(np.float64)
    inside = head.ventricles[int(tip * len(head.ventricles))].astype(np.float64)
    outwards = (vault - inside) * spacing
    outside = vault + outwards / np.linalg.norm(outwards) * _BEYOND_MM / spacing
    ends = outside.astype(np.float32), inside.astype(np.float32)
    return Shunt(*ends, outer_mm, lumen_mm, hole_mm, share)
