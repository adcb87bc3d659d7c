"""Bone of a slab: teeth and implants, plates and sinuses, trabecular density.

Teeth, and what dentists and surgeons leave: fillings, openings of the skull, plates.
Label maps have none of them. Teeth stand on the margins of the jaws that face each other; the rest
is rare, and there so that a network has seen it. All are as dark as bone in MR; their HU follow
from the share of bone, which is above 1 for enamel and for metal.

Bone, sinuses and air cells of a slab, from distances that a head's variation moves.
Bone and the sinuses in it are one solid, in which the sinuses are hollowed out again, larger or
smaller than they were: so walls move, and 1 mm of bone stays between a sinus and what lies around.

How much bone there is in bone: one density that the CT and the MR of a slab share.
The HU of bone and the signal of the marrow in it follow from one number, the share phi of
mineralised bone in a voxel. Drawn once a slab, it lets a network read the one off the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, Labelled, to_mm, to_steps
from medcyclegan.simulate.label_heads.sampling import Maps, places_in_box
from medcyclegan.simulate.label_heads.skull import AirKind, BonePart, HeadVariation
from medcyclegan.simulate.slab_grid import Field, Rng, SlabGrid
from medcyclegan.simulate.tissues import Tissue

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
    place = places_in_box(index, low, high)
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


# Bone left around sinuses and air cells, millimetres.
_WALL_MM, _CELL_WALL_MM = 1.0, 1.2
# How far a surface moves at most inwards and outwards, and how it varies within a head.
_MOVE_MM = (-2.0, 2.5)
_THICKNESS_FIELD_SD, _THICKNESS_FIELD_MM = 0.12, 40.0
_SURFACE_FIELD_SD_MM, _SURFACE_FIELD_MM = 0.25, 15.0
# Bone that grew into fluid could not be seen where both are dark, as in FLAIR: it grows half as far
# there, and into brain and mucosa alike, so that its surface stays even. No bone grows into an eye.
_GROWS = np.full(len(Tissue), 0.5, dtype=np.float32)
_GROWS[[Tissue.MUSCLE, Tissue.FAT, Tissue.SKIN]] = 1.0
_GROWS[Tissue.EYE_FLUID] = 0.0
# Compact tables: how their thickness varies within a head, and their least where marrow is
# labelled, and where it is not but labels are followed.
_TABLE_FIELD_SD_MM, _TABLE_FIELD_MM = 0.35, 20.0
_LEAST_TABLE_MM, _UNLABELLED_TABLE_MM = 0.5, 1.6
# Fluid of the inner ear: winding sheets about 1 mm wide in the middle of its dense capsule.
_OTIC_SHELL_MM, _LABYRINTH_MM, _LABYRINTH_HALF_WIDTH = 2.5, 4.0, 0.13
# Samples farther from bone have no share in it.
_NEAR_MM = _MOVE_MM[1] + 0.75
_IS_SINUS = np.zeros(8, dtype=bool)
_IS_SINUS[[AirKind.FRONTAL, AirKind.MAXILLARY, AirKind.SPHENOID, AirKind.MASTOID]] = True
# A field's spread between its knots is smaller than at them.
_FIELD_SD = 0.66


@dataclass(frozen=True, eq=False)
class Skull:
    """What of a slab is bone, sinus or air cells; all (n,), of the samples near bone.

    ``place`` is a sample's place in the raveled slab. Signed distances, negative inside, after
    they moved: ``solid_mm`` to bone with its sinuses, ``hollow_mm`` to the sinuses in it, which
    count where ``in_sinus``. ``tissue`` is what bone is made of, ``filling`` what is in a sinus;
    ``otic`` is the dense bone of the inner ear, ``plate`` the metal that holds bone.
    """

    place: NDArray[np.int64]
    solid_mm: Field
    hollow_mm: Field
    tissue: NDArray[np.uint8]
    filling: NDArray[np.uint8]
    in_sinus: NDArray[np.bool_]
    otic: NDArray[np.bool_]
    plate: NDArray[np.bool_]

    def points(self, index: list[Field]) -> Points:
        """The head voxels of these samples, (n, 3); ``index`` is that of the slab."""
        return np.stack([values.reshape(-1)[self.place] for values in index], axis=-1)

    def opened(
        self, opening: Opening, index: list[Field], spacing_mm: tuple[float, float, float]
    ) -> Skull:
        """The same after a craniotomy; ``index`` is that of the slab."""
        solid_mm, plate = opened(opening, self.solid_mm, self.points(index), spacing_mm)
        tissue = np.where(plate, np.uint8(Tissue.TOOTH), self.tissue)
        solid_mm[plate] = np.minimum(solid_mm[plate], np.float32(-0.5))
        return replace(self, solid_mm=solid_mm, tissue=tissue, plate=plate)


@dataclass(frozen=True, eq=False)
class _Near:
    """The samples near bone: their places, what the maps have there, and fields of the slab."""

    place: NDArray[np.int64]
    maps: Maps
    grid: SlabGrid
    rng: Rng

    def field(self, scale_mm: float) -> Field:
        """A smooth field of the slab at these samples, (n,)."""
        return self.grid.field(self.rng, scale_mm).reshape(-1)[self.place]

    def side_kind(self) -> NDArray[np.uint8]:
        """The place in a raveled table by side and kind of air, (n,)."""
        return self.maps["air_kind"] + np.uint8(8) * self.maps["right"]


def draw_skull(
    maps: Maps, varied: HeadVariation, grid: SlabGrid, rng: Rng, *, fluid: NDArray[np.bool_]
) -> Skull:
    """Move the surfaces of bone and sinuses, and fill the bone with marrow and cells.

    ``fluid`` (D * S, H, W) lies below the level of fluid, where a sinus has one.
    """
    place = np.flatnonzero(maps["bone_distance"] <= to_steps(_NEAR_MM))
    near = _Near(place, {name: part.reshape(-1)[place] for name, part in maps.items()}, grid, rng)
    solid_mm = _moved_surface(near, varied)
    growth = varied.growth_mm.ravel()[near.side_kind()] * (1.0 + 0.25 * near.field(10.0))
    air_mm = to_mm(near.maps["air_distance"]) - growth
    otic = to_mm(near.maps["otic_distance"]) < varied.otic_radius_mm
    sinus = _IS_SINUS[near.maps["air_kind"]]
    depth_mm = np.where(sinus, np.minimum(-solid_mm, air_mm), -solid_mm)
    tissue = _compact_or_marrow(near, depth_mm, varied)
    tissue[otic] = Tissue.CORTICAL_BONE
    inner_mm = varied.otic_radius_mm - _OTIC_SHELL_MM
    labyrinth = np.abs(near.field(_LABYRINTH_MM)) < _LABYRINTH_HALF_WIDTH
    tissue[labyrinth & (to_mm(near.maps["otic_distance"]) < inner_mm)] = Tissue.CSF
    cells = _air_cells(near, varied) & (depth_mm > _CELL_WALL_MM) & ~otic
    wet = np.where(varied.effusion, np.uint8(Tissue.MUCOSA), np.uint8(Tissue.AIR))
    tissue[cells] = wet[near.maps["right"][cells]]
    swollen = air_mm > -varied.mucosa_mm.ravel()[near.side_kind()]
    swollen |= fluid.reshape(-1)[place]
    filling = np.where(swollen, np.uint8(Tissue.MUCOSA), np.uint8(Tissue.AIR))
    hollow_mm = np.maximum(air_mm, solid_mm + np.float32(_WALL_MM))
    none = np.zeros(place.size, dtype=bool)
    return Skull(place, solid_mm, hollow_mm, tissue, filling, sinus & ~otic, otic, none)


def _moved_surface(near: _Near, varied: HeadVariation) -> Field:
    """The signed distance to bone, (n,), after a head's thickness has been drawn."""
    soft, distance = near.maps["soft"], to_mm(near.maps["bone_distance"])
    factor = (varied.thickness - 1.0) + _THICKNESS_FIELD_SD * near.field(_THICKNESS_FIELD_MM)
    move = factor * near.maps["half_thickness"] + np.float32(varied.surface_mm)
    move += np.float32(_SURFACE_FIELD_SD_MM) * near.field(_SURFACE_FIELD_MM)
    np.clip(move, *_MOVE_MM, out=move)
    move *= np.where(move > 0.0, _GROWS[soft], np.float32(1.0))
    return np.asarray(distance - move, dtype=np.float32)


def _compact_or_marrow(near: _Near, depth_mm: Field, varied: HeadVariation) -> NDArray[np.uint8]:
    table_mm = varied.table_mm + np.float32(_TABLE_FIELD_SD_MM) * near.field(_TABLE_FIELD_MM)
    marrow = depth_mm > table_mm
    if varied.follow_labels:
        labelled = (near.maps["labelled"] == Labelled.MARROW) & (depth_mm > _LEAST_TABLE_MM)
        marrow = labelled | (marrow & (depth_mm > _UNLABELLED_TABLE_MM))
    return np.where(marrow, np.uint8(Tissue.MARROW), np.uint8(Tissue.CORTICAL_BONE))


def _air_cells(near: _Near, varied: HeadVariation) -> NDArray[np.bool_]:
    """Where the temporal bone is air, (n,), by a share of each side's own."""
    temporal = near.maps["part"] == BonePart.TEMPORAL
    field = near.field(varied.cells_mm)
    share = np.clip(varied.pneumatisation, 1e-3, 1.0 - 1e-3)
    threshold = (-ndtri(share) * _FIELD_SD).astype(np.float32)
    return np.asarray(temporal & (field > threshold[near.maps["right"]]))


def below_fluid_level(
    head: HeadAnatomy, maps: Maps, varied: HeadVariation, front: Field
) -> NDArray[np.bool_]:
    """Where a sinus holds fluid: heads lie on their back, so it gathers behind.

    ``front`` (D * S, H, W) is the head voxel along the axis from back to front.
    """
    if not varied.fluid_share.any():
        return np.zeros(front.shape, dtype=bool)
    low, high = head.sinus_extent
    level = np.where(varied.fluid_share > 0.0, low + varied.fluid_share * (high - low), -1e6)
    side_kind = maps["air_kind"] + np.uint8(8) * maps["right"]
    return np.asarray(front < level.astype(np.float32).ravel()[side_kind])


# HU of a voxel that is bone to the last bit.
FULL_BONE_HU = 1900.0
# Standard deviations and scales of marrow spaces: their grain, and from place to place.
_GRAIN_SD, _GRAIN_MM = 0.10, (3.0, 8.0)
_PLACE_SD, _PLACE_MM = 0.06, 40.0
_LIMITS = (0.02, 0.9)
# Spongy bone of less than this varies by less, in proportion.
_USUAL_MEAN = 0.4
# Compact bone within a head, by its vessels: about 70 HU.
_COMPACT_SD, _COMPACT_MM = 0.037, 6.0


def draw_bone_share(
    part: NDArray[np.uint8], skull: Skull, varied: HeadVariation, grid: SlabGrid, rng: Rng
) -> Field:
    """Draw the share of bone, float32 (D * S, H, W); 0 far from bone.

    Marrow spaces have the mean of their part of the skull, ``part`` (D * S, H, W), and a grain;
    elsewhere it is that of compact bone.
    """
    place = skull.place
    mean = varied.marrow_share[part.reshape(-1)[place]]
    grain = grid.field(rng, rng.uniform(*_GRAIN_MM)).reshape(-1)[place] * np.float32(_GRAIN_SD)
    grain += grid.field(rng, _PLACE_MM).reshape(-1)[place] * np.float32(_PLACE_SD)
    marrow = np.clip(mean + grain * np.minimum(mean / np.float32(_USUAL_MEAN), 1.0), *_LIMITS)
    compact = np.where(skull.otic, np.float32(varied.otic_share), np.float32(varied.compact_share))
    compact += grid.field(rng, _COMPACT_MM).reshape(-1)[place] * np.float32(_COMPACT_SD)
    share = np.zeros(part.shape, dtype=np.float32)
    compact[skull.plate] = METAL_SHARE
    share.reshape(-1)[place] = np.where(skull.tissue == Tissue.MARROW, marrow, compact)
    return share


def bone_hu(share: Field | float, marrow_hu: float) -> Field:
    """Return the HU of bone by its share of a voxel: a mixture by volume, any shape."""
    return np.asarray(share * (FULL_BONE_HU - marrow_hu) + marrow_hu, dtype=np.float32)
