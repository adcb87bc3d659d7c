"""Bone, sinuses and air cells of a slab, from distances that a head's variation moves.

Bone and the sinuses in it are one solid, in which the sinuses are hollowed out again, larger or
smaller than they were: so walls move, and 1 mm of bone stays between a sinus and what lies around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.head_variation import HeadVariation
from medcyclegan.simulate.labelmaps import HeadAnatomy, to_mm
from medcyclegan.simulate.skull_regions import AirKind, BonePart
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.slab_sampling import Maps
from medcyclegan.simulate.tissues import Tissue

# Bone left around sinuses and air cells, millimetres.
_WALL_MM, _CELL_WALL_MM = 1.0, 1.2
# How far a surface moves at most inwards and outwards, and how it varies within a head.
_MOVE_MM = (-2.0, 2.5)
_THICKNESS_FIELD_SD, _THICKNESS_FIELD_MM = 0.12, 40.0
_SURFACE_FIELD_SD_MM, _SURFACE_FIELD_MM = 0.25, 15.0
# Bone that grew into fluid could not be seen where both are dark, as in FLAIR: it grows half.
_INTO_FLUID = 0.5
# What bone may take the place of when it grows; never brain, eyes or mucosa.
_MAY_BE_BONE = np.zeros(256, dtype=bool)
_MAY_BE_BONE[[Tissue.CSF, Tissue.MUSCLE, Tissue.BLOOD, Tissue.FAT, Tissue.SKIN]] = True
_IS_SINUS = np.zeros(8, dtype=bool)
_IS_SINUS[[AirKind.FRONTAL, AirKind.MAXILLARY, AirKind.SPHENOID, AirKind.MASTOID]] = True
# A field's spread between its knots is smaller than at them.
_FIELD_SD = 0.66


@dataclass(frozen=True, eq=False)
class Skull:
    """What of a slab is bone or air in the head; all (D * S, H, W).

    Three signed distances, negative inside, after they moved: to bone with its sinuses, to the
    sinuses in it, which count where ``in_sinus``, and to the airway, elsewhere. ``tissue`` is what
    bone is made of, ``filling`` what is in a sinus; ``otic`` is the dense bone of the inner ear.
    """

    solid_mm: Field
    hollow_mm: Field
    air_mm: Field
    tissue: NDArray[np.uint8]
    filling: NDArray[np.uint8]
    in_sinus: NDArray[np.bool_]
    otic: NDArray[np.bool_]


def draw_skull(
    maps: Maps, varied: HeadVariation, grid: SlabGrid, rng: Rng, *, fluid: NDArray[np.bool_]
) -> Skull:
    """Move the surfaces of bone and sinuses, and fill the bone with marrow and cells.

    ``fluid`` (D * S, H, W) lies below the level of fluid, where a sinus has one.
    """
    solid_mm = _moved_surface(maps, varied, grid, rng)
    side_kind = maps["air_kind"] + np.uint8(8) * maps["right"]
    growth = varied.growth_mm.ravel()[side_kind]
    growth = growth * (1.0 + 0.25 * grid.field(rng, 10.0))
    air_mm = to_mm(maps["air_distance"]) - growth
    sinus = _IS_SINUS[maps["air_kind"]]
    otic = to_mm(maps["otic_distance"]) < varied.otic_radius_mm
    hollow_mm = np.maximum(air_mm, solid_mm + np.float32(_WALL_MM))
    depth_mm = np.where(sinus, np.minimum(-solid_mm, air_mm), -solid_mm)
    tissue = _compact_or_marrow(maps, depth_mm, varied, grid, rng)
    tissue[otic] = Tissue.CORTICAL_BONE
    filling = np.where(
        air_mm > -varied.mucosa_mm.ravel()[side_kind], np.uint8(Tissue.MUCOSA), np.uint8(Tissue.AIR)
    )
    filling[fluid] = Tissue.MUCOSA
    cells = _air_cells(maps, varied, grid, rng) & (depth_mm > _CELL_WALL_MM) & ~otic
    wet = np.where(varied.effusion, np.uint8(Tissue.MUCOSA), np.uint8(Tissue.AIR))
    np.copyto(tissue, wet[maps["right"]], where=cells)
    return Skull(solid_mm, hollow_mm, air_mm, tissue, filling, sinus & ~otic, otic)


def _moved_surface(maps: Maps, varied: HeadVariation, grid: SlabGrid, rng: Rng) -> Field:
    """The signed distance to bone after a head's thickness has been drawn."""
    distance = to_mm(maps["bone_distance"])
    factor = (varied.thickness - 1.0) + _THICKNESS_FIELD_SD * grid.field(rng, _THICKNESS_FIELD_MM)
    move = factor * maps["half_thickness"] + np.float32(varied.surface_mm)
    move += np.float32(_SURFACE_FIELD_SD_MM) * grid.field(rng, _SURFACE_FIELD_MM)
    np.clip(move, *_MOVE_MM, out=move)
    move[(maps["soft"] == Tissue.CSF) & (move > 0.0)] *= np.float32(_INTO_FLUID)
    refused = ~_MAY_BE_BONE[maps["soft"]] & (distance > 0.0)
    moved = distance - move
    np.copyto(moved, np.maximum(moved, 0.5 * distance), where=refused)
    return np.asarray(moved, dtype=np.float32)


def _compact_or_marrow(
    maps: Maps, depth_mm: Field, varied: HeadVariation, grid: SlabGrid, rng: Rng
) -> NDArray[np.uint8]:
    table_mm = varied.table_mm + np.float32(0.35) * grid.field(rng, 20.0)
    marrow = depth_mm > table_mm
    if varied.follow_labels:
        labelled = (maps["tissue"] == Tissue.MARROW) & (depth_mm > 0.5)
        marrow = labelled | (marrow & (depth_mm > 2.0))
    return np.where(marrow, np.uint8(Tissue.MARROW), np.uint8(Tissue.CORTICAL_BONE))


def _air_cells(maps: Maps, varied: HeadVariation, grid: SlabGrid, rng: Rng) -> NDArray[np.bool_]:
    """Where the temporal bone is air, by a share of each side's own."""
    field = grid.field(rng, varied.cells_mm)
    share = np.clip(varied.pneumatisation, 1e-3, 1.0 - 1e-3)
    threshold = (-ndtri(share) * _FIELD_SD).astype(np.float32)
    return np.asarray((maps["part"] == BonePart.TEMPORAL) & (field > threshold[maps["right"]]))


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
