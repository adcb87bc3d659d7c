"""Bone, sinuses and air cells of a slab, from distances that a head's variation moves.

Bone and the sinuses in it are one solid, in which the sinuses are hollowed out again, larger or
smaller than they were: so walls move, and 1 mm of bone stays between a sinus and what lies around.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.head_variation import HeadVariation
from medcyclegan.simulate.labelmaps import HeadAnatomy, Labelled, to_mm, to_steps
from medcyclegan.simulate.skull_regions import AirKind, BonePart
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.slab_sampling import Maps
from medcyclegan.simulate.teeth import Opening, opened
from medcyclegan.simulate.tissues import Tissue

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

    def opened(
        self, opening: Opening, index: list[Field], spacing_mm: tuple[float, float, float]
    ) -> Skull:
        """The same after a craniotomy; ``index`` is that of the slab."""
        points = np.stack([values.reshape(-1)[self.place] for values in index], axis=-1)
        solid_mm, plate = opened(opening, self.solid_mm, points, spacing_mm)
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
