"""Draw a slab of tissue from a head: random place, pose, warp, and random anatomy.

Slabs are (D, H, W): D runs along the slice normal; each slice is made of S thinner sub-slices,
so that thick slices get their partial volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.head_variation import draw_variation
from medcyclegan.simulate.labelmaps import HeadAnatomy, to_mm, to_steps
from medcyclegan.simulate.skull_regions import AirKind
from medcyclegan.simulate.slab_bone import Skull, below_fluid_level, draw_skull
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.slab_sampling import (
    Maps,
    Place,
    look_up,
    middle_voxel,
    random_body_voxel,
    sample_index,
    with_brain_of,
)
from medcyclegan.simulate.slab_surfaces import Layers, Surfaces
from medcyclegan.simulate.soft_tissue import split_soft_tissue
from medcyclegan.simulate.teeth import draw_opening, draw_teeth, lay_teeth
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.simulate.trabecular import draw_bone_share

__all__ = ["Place", "TissueSlab", "draw_tissue", "middle_voxel", "random_body_voxel"]


@dataclass(frozen=True, eq=False)
class TissueSlab:
    """``tissue`` is uint8 (D * S, H, W) on the samples of ``grid``: what most of a sample is.

    ``trabecular`` float32 (D * S, H, W) is the share of mineralised bone where the tissue is marrow
    or compact bone; the CT and the MR both follow from it. ``surfaces`` tells what else there is in
    samples that a surface runs through. ``below_vertex_mm`` (D, H, W), if known, is the height
    below the top of the head.
    """

    tissue: NDArray[np.uint8]
    grid: SlabGrid
    trabecular: Field
    surfaces: Surfaces = field(default_factory=Surfaces.none)
    below_vertex_mm: Field | None = None

    def paint(self, table: NDArray[np.float64]) -> Field:
        """Each sample's value, float32 (D * S, H, W), of a table (number of tissues,)."""
        return self.mix(table.astype(np.float32)[self.tissue], table)

    def mix(self, values: Field, table: NDArray[np.float64]) -> Field:
        """Mix samples' values (D * S, H, W) at surfaces with the other tissue's in a table."""
        return self.surfaces.mix(values, table)


def draw_tissue(
    head: HeadAnatomy, grid: SlabGrid, rng: Rng, *, place: Place | None = None
) -> TissueSlab:
    """Sample a head on a turned, scaled and warped slab, and vary its anatomy.

    ``place`` gives the head's voxel in the middle of the slab; by default a random one.
    """
    varied = draw_variation(rng)
    teeth, opening = draw_teeth(head, rng), draw_opening(head, rng)
    index = sample_index(head, grid, rng, place or random_body_voxel)
    maps = look_up(head, index)
    if varied.brain_size != 1.0:
        maps["soft"] = with_brain_of(varied.brain_size, head, index, maps["soft"])
    fluid = below_fluid_level(head, maps, varied, index[1])
    skull = draw_skull(maps, varied, grid, rng, fluid=fluid)
    if opening is not None:
        skull = skull.opened(opening, index, head.spacing_mm)
    bone_mm = to_mm(maps["bone_distance"])
    bone_mm.reshape(-1)[skull.place] = skull.solid_mm
    soft = split_soft_tissue(maps["soft"], maps, grid, rng, bone_mm=bone_mm)
    share = draw_bone_share(maps["part"], skull, varied, grid, rng)
    layers = _composed(maps, skull, soft, grid)
    if teeth is not None:
        _lay_teeth(layers, share, lay_teeth(teeth, head, index))
    tissue, surfaces = layers.tissue, layers.surfaces()
    if rng.random() < 0.12:
        cut = _defacing_cut(head, index, rng)
        tissue = np.where(cut, np.uint8(Tissue.AIR), tissue)
        surfaces = surfaces.without(cut)
    return TissueSlab(tissue, grid, share, surfaces, _below_vertex_mm(head, grid, index))


def _lay_teeth(layers: Layers, share: Field, laid: tuple[NDArray[np.int64], Field, Field]) -> None:
    """Lay teeth over all else, and their share of bone into that of the slab."""
    place, distance_mm, own = laid
    layers.lay(place, distance_mm, Tissue.TOOTH)
    inside = distance_mm < 0.0
    share.reshape(-1)[place[inside]] = own[inside]


def _composed(maps: Maps, skull: Skull, soft: NDArray[np.uint8], grid: SlabGrid) -> Layers:
    """Lay bone over soft tissue, then the air in the head, then the air around it."""
    layers = Layers(soft, grid.pixel_mm)
    layers.lay(skull.place, skull.solid_mm, skull.tissue)
    sinus = np.flatnonzero(skull.in_sinus)
    layers.lay(skull.place[sinus], skull.hollow_mm[sinus], skull.filling[sinus])
    layers.lay(*_air(maps, grid.pixel_mm), Tissue.AIR)
    return layers


def _air(maps: Maps, width_mm: float) -> tuple[NDArray[np.int64], Field]:
    """Places of samples at air, (n,), and the signed distance to it, negative in air.

    Airway and the air around the head are one where they meet: their shares of a sample add up.
    """
    reach = to_steps(width_mm)
    airway = maps["air_distance"] <= reach
    airway &= (maps["air_kind"] == AirKind.AIRWAY) | (maps["air_kind"] == AirKind.ETHMOID)
    place = np.flatnonzero(airway | (maps["depth_below_skin"] <= reach))
    share = np.zeros(place.size, dtype=np.float32)
    for name, counts in (("depth_below_skin", None), ("air_distance", airway)):
        distance = to_mm(maps[name].reshape(-1)[place])
        own = np.clip(0.5 - distance / np.float32(width_mm), 0.0, 1.0)
        share += own if counts is None else own * counts.reshape(-1)[place]
    return place, np.float32(width_mm) * (np.float32(0.5) - np.minimum(share, 1.0))


def _below_vertex_mm(head: HeadAnatomy, grid: SlabGrid, index: list[Field]) -> Field:
    """Millimetres below the top of the head, (D, H, W)."""
    top = head.maps.shape[2] - 3
    first = index[2][:: grid.sub_slices]
    return np.asarray((top - first) * np.float32(head.spacing_mm[2]), dtype=np.float32)


def _defacing_cut(head: HeadAnatomy, index: list[Field], rng: Rng) -> NDArray[np.bool_]:
    """Samples in front of a slanted plane through the face, as defacing tools remove them."""
    slant = np.deg2rad(rng.uniform(15.0, 60.0))
    anterior = index[1] - rng.uniform(0.78, 0.92) * head.maps.shape[1]
    above = index[2] - 0.45 * head.maps.shape[2]
    return np.asarray(anterior * np.cos(slant) - above * np.sin(slant) > 0.0)
