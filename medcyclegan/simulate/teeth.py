"""Teeth, and what dentists and surgeons leave: fillings, openings of the skull, plates.

Label maps have none of them. Teeth stand on the margins of the jaws that face each other; the rest
is rare, and there so that a network has seen it. All are as dark as bone in MR; their HU follow
from the share of bone, which is above 1 for enamel and for metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.simulate.slab_grid import Rng

Points = NDArray[np.float32]

# Share of heads with teeth, how many of those there is room for are left, how far they are apart.
_DENTATE, _KEPT, _APART_MM = 0.75, (0.5, 1.0), 6.5
# So many places of the margins are tried.
_TRIED = 120
# Half the width and half the length of a tooth, and how far its middle stands out of the jaw.
_HALF_WIDTH_MM, _HALF_LENGTH_MM, _OUT_MM = (2.4, 3.8), (8.0, 11.0), 1.5
# Dentine 1700 to 2100 HU, enamel 2500 to 3000 HU, metal beyond any scale, as shares of 1900 HU.
DENTINE_SHARE, ENAMEL_SHARE, METAL_SHARE = (0.9, 1.1), (1.3, 1.58), 1.9
# Half of the dentate have fillings, in a few teeth.
_FILLED, _FILLED_TEETH = 0.5, (1, 8)
# Openings of the skull: how often, how large, how wide the cut; a quarter have lost the flap.
_OPENED, _FLAP_MM, _CUT_MM, _FLAP_LOST = 0.03, (18.0, 45.0), (0.8, 2.0), 0.25
_BURR_HOLES, _BURR_MM, _PLATE_MM = (3, 6), 5.5, 6.0


@dataclass(frozen=True, eq=False)
class Teeth:
    """Teeth of one head, (n,) or (n, 3): voxels of their middles, whether they stand downwards,
    half their width and length in mm, the share of bone of their crowns."""

    middle: Points
    down: NDArray[np.bool_]
    half_width_mm: Field
    half_length_mm: Field
    crown_share: Field
    dentine_share: float


@dataclass(frozen=True, eq=False)
class Opening:
    """A craniotomy: a disc of the skull around a voxel, cut out along its rim, with burr holes."""

    centre: Points  # (3,)
    radius_mm: float
    cut_mm: float
    flap_lost: bool
    holes: Points  # (n, 3)


def draw_teeth(head: HeadAnatomy, rng: Rng) -> Teeth | None:
    """Draw the teeth of a head, or None where there are none."""
    dentate, kept = rng.random() < _DENTATE, rng.uniform(*_KEPT)
    margin = head.jaw_margins
    if not dentate or len(margin) == 0:
        return None
    places = _spread_out(margin, np.asarray(head.spacing_mm), rng)
    places = places[rng.random(len(places)) < kept]
    n = len(places)
    if n == 0:
        return None
    crown = rng.uniform(*ENAMEL_SHARE, n)
    if rng.random() < _FILLED:
        crown[rng.permutation(n)[: rng.integers(*_FILLED_TEETH)]] = METAL_SHARE
    down = places[:, 3] > 0
    middle = places[:, :3].astype(np.float32)
    middle[:, 2] += np.where(down, -1.0, 1.0) * _OUT_MM / head.spacing_mm[2]
    return Teeth(
        middle,
        down,
        rng.uniform(*_HALF_WIDTH_MM, n).astype(np.float32),
        rng.uniform(*_HALF_LENGTH_MM, n).astype(np.float32),
        crown.astype(np.float32),
        float(rng.uniform(*DENTINE_SHARE)),
    )


def _spread_out(
    margin: NDArray[np.int64], spacing_mm: NDArray[np.float64], rng: Rng
) -> NDArray[np.int64]:
    """Choose places (n, 4) at random, none nearer to another of its jaw than a tooth."""
    tried = margin[rng.permutation(len(margin))[:_TRIED]]
    plane_mm = tried[:, :2] * spacing_mm[:2]
    off_mm = np.linalg.norm(plane_mm[:, None] - plane_mm[None], axis=-1)
    close = (off_mm < _APART_MM) & (tried[:, None, 3] == tried[None, :, 3])
    free = np.ones(len(tried), dtype=bool)
    for n in range(len(tried)):
        if free[n]:
            free[n + 1 :] &= ~close[n, n + 1 :]
    return np.asarray(tried[free])


def lay_teeth(
    teeth: Teeth, head: HeadAnatomy, index: list[Field]
) -> tuple[NDArray[np.int64], Field, Field]:
    """The samples near teeth: their places in the raveled slab, the signed distance to the nearest
    tooth in mm (negative inside), and its share of bone there; all (n,)."""
    reach = np.float32(_HALF_LENGTH_MM[1] + 2.0) / np.asarray(head.spacing_mm, np.float32)
    low, high = teeth.middle.min(axis=0) - reach, teeth.middle.max(axis=0) + reach
    place = _in_box(index, low, high)
    points = np.stack([values.reshape(-1)[place] for values in index], axis=-1)
    distance = np.full(place.size, 1000.0, dtype=np.float32)
    share = np.zeros(place.size, dtype=np.float32)
    for n in range(len(teeth.middle)):
        off = (points - teeth.middle[n]) * np.asarray(head.spacing_mm, np.float32)
        along = np.where(teeth.down[n], -off[:, 2], off[:, 2]) / teeth.half_length_mm[n]
        # Wide at the crown, narrow at the root, as a wedge.
        width = teeth.half_width_mm[n] * np.clip(0.75 + 0.35 * along, 0.3, 1.0)
        radius = np.sqrt(np.hypot(off[:, 0], off[:, 1]) ** 2 / width**2 + along**4)
        here = (radius - 1.0) * width
        nearer = here < distance
        distance[nearer] = here[nearer]
        crown = along > 0.25
        share[nearer] = np.where(crown, teeth.crown_share[n], teeth.dentine_share)[nearer]
    return place, distance, share


def _in_box(index: list[Field], low: Points, high: Points) -> NDArray[np.int64]:
    """Places in the raveled slab of the samples within a box of the head, (n,)."""
    for axis in range(3):
        if index[axis].max() < low[axis] or index[axis].min() > high[axis]:
            return np.zeros(0, dtype=np.int64)
    near = (index[2] > low[2]) & (index[2] < high[2])
    near &= (index[1] > low[1]) & (index[1] < high[1])
    near &= (index[0] > low[0]) & (index[0] < high[0])
    return np.flatnonzero(near)


def draw_opening(head: HeadAnatomy, rng: Rng) -> Opening | None:
    """Draw an opening of the skull; None in most heads."""
    radius_mm, cut_mm = rng.uniform(*_FLAP_MM), rng.uniform(*_CUT_MM)
    lost, count = rng.random() < _FLAP_LOST, int(rng.integers(*_BURR_HOLES))
    if rng.random() >= _OPENED or len(head.vault_bone) == 0:
        return None
    vault = head.vault_bone
    centre = vault[rng.integers(len(vault))]
    off_mm = np.linalg.norm((vault - centre) * np.asarray(head.spacing_mm), axis=1)
    rim = vault[np.abs(off_mm - radius_mm) < 2.0 * max(head.spacing_mm)]
    holes = rim[rng.permutation(len(rim))[:count]].astype(np.float32)
    return Opening(centre.astype(np.float32), radius_mm, cut_mm, bool(lost), holes)


def opened(
    opening: Opening, solid_mm: Field, points: Points, spacing_mm: tuple[float, float, float]
) -> tuple[Field, NDArray[np.bool_]]:
    """The signed distance to bone, (n,), after an opening of the skull, and where plates lie.

    ``points`` (n, 3) are the samples' places in voxels. Plates bridge the cut at the burr holes.
    """
    spacing = np.asarray(spacing_mm, np.float32)
    off_mm = np.linalg.norm((points - opening.centre) * spacing, axis=1)
    missing_mm = opening.radius_mm - off_mm
    cut_mm = missing_mm if opening.flap_lost else 0.5 * opening.cut_mm - np.abs(missing_mm)
    plate = np.zeros(len(points), dtype=bool)
    for hole in opening.holes:
        from_hole = np.linalg.norm((points - hole) * spacing, axis=1)
        cut_mm = np.maximum(cut_mm, _BURR_MM - from_hole)
        plate |= (from_hole < _PLATE_MM) & (np.abs(solid_mm - 0.4) < 0.5)
    return np.maximum(solid_mm, cut_mm).astype(np.float32), plate & (not opening.flap_lost)
