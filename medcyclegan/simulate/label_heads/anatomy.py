"""Anatomy of a random slab: place, pose, warp, soft tissue.

What lies in the soft tissue of face, scalp and neck, which label maps give as one tissue.
Muscles lie in fascial sheets of fat, and between them are pads of fat (buccal, parapharyngeal,
suboccipital), salivary glands, vessels, and collagen: aponeuroses along the sheets, tendons and
periosteum at bone, cartilage. Collagen and vessels with flow are as dark as bone in MR and soft
tissue in CT: what tells them from bone is their shape and place alone, so they have to be there.
Shapes are level sets of smooth random fields of unit variance: a sheet is where a field is near 0,
a cord where two are, a pad where one is high.

Draw a slab of tissue from a head: random place, pose, warp, and random anatomy.
Slabs are (D, H, W): D runs along the slice normal; each slice is made of S thinner sub-slices,
so that thick slices get their partial volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.label_heads.bone import (
    Skull,
    below_fluid_level,
    draw_bone_share,
    draw_opening,
    draw_skull,
    draw_teeth,
    lay_teeth,
)
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, to_mm, to_steps
from medcyclegan.simulate.label_heads.proportions import draw_proportions
from medcyclegan.simulate.label_heads.sampling import (
    Layers,
    Maps,
    Place,
    Surfaces,
    look_up,
    middle_voxel,
    random_body_voxel,
    sample_index,
    with_brain_of,
)
from medcyclegan.simulate.label_heads.shunt import draw_shunt
from medcyclegan.simulate.label_heads.skull import AirKind, draw_variation
from medcyclegan.simulate.slab_grid import Field, Rng, SlabGrid
from medcyclegan.simulate.tissues import Tissue

Labels = NDArray[np.uint8]
Places = NDArray[np.int64]

_IS_SOFT = np.isin(np.arange(len(Tissue)), (Tissue.MUSCLE, Tissue.SKIN, Tissue.MUCOSA))
_IS_LINED = np.isin(np.arange(len(Tissue)), (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER))

# Ranges that are drawn from, evenly. Lengths in mm, thresholds in standard deviations of a field.
_SHEET_SCALE_MM, _SHEET_HALF_WIDTH = (9.0, 22.0), (0.03, 0.15)  # sheets of 0.4 to 4 mm of fat
_SEPTUM_SHARE, _SEPTUM_HALF_WIDTH = 0.7, (0.01, 0.08)  # thinner ones within muscles
_PAD_SCALE_MM, _PAD_THRESHOLD = (15.0, 30.0), (0.5, 1.6)
_GLAND_THRESHOLD = (0.8, 1.8)
_CORD_SCALE_MM, _CORD_HALF_WIDTH = (9.0, 18.0), (0.06, 0.2)  # vessels and tendons of 1 to 5 mm
# Anatomy books: skin of the face and scalp 1 to 2.5 mm, fat below it 2 to 9 mm, more in a neck.
_SKIN_MM, _FAT_MM, _NECK_FAT_MM = (0.8, 2.5), (2.0, 9.0), (6.0, 12.0)
# Periosteum, galea and entheses: dark tissue on bone, where a field is above the threshold.
_ON_BONE_MM, _ON_BONE_THRESHOLD = (0.4, 3.0), (-1.0, 1.6)
_DISC_MM, _DISC_THRESHOLD = 5.0, (1.3, 2.2)
# Label maps call the whole tongue mucosa: what lies deeper than this below air is not.
_MUCOSA_MM = (1.5, 4.5)
_DURA_MM = (0.5, 1.2)  # Protasoni et al., J Neurosurg 2011, 114:1723: about 0.3 to 1.1 mm


def split_soft_tissue(
    tissue: Labels,
    maps: dict[str, Labels],
    grid: SlabGrid,
    rng: Rng,
    *,
    bone_mm: Field | None = None,
) -> Labels:
    """Return the tissue (D * S, H, W) with its soft tissue told apart, and dura along the skull.

    ``bone_mm`` (D * S, H, W) is the signed distance to the surface of the bone that ``tissue``
    holds, negative inside; by default that of the label map.
    """
    distance = to_mm(maps["bone_distance"]) if bone_mm is None else bone_mm
    split = _line_with_dura(tissue, distance, rng)
    # what lies in bone will not be seen: it is left as it is
    places = np.flatnonzero(_IS_SOFT.take(tissue) & (distance > 0.0))
    places = places[~_lines_air(tissue, maps, places, rng)]
    if places.size:
        depth = to_mm(maps["depth_below_skin"].reshape(-1)[places])
        deep = _deep_tissue(depth, distance.reshape(-1)[places], grid, rng, places)
        orbit = maps["orbit"].reshape(-1)[places] == 1
        if orbit.any():
            orbit &= grid.field(rng, 5.0).reshape(-1)[places] > -0.8
            np.putmask(deep, orbit, Tissue.FAT)
        np.putmask(deep, depth < rng.uniform(*_SKIN_MM), Tissue.SKIN)
        split.reshape(-1)[places] = deep
    return split


def _lines_air(
    tissue: Labels, maps: dict[str, Labels], places: Places, rng: Rng
) -> NDArray[np.bool_]:
    """Which of the places, (n,), are mucosa: labelled so, and near to air in the head."""
    mucosa: NDArray[np.bool_] = tissue.reshape(-1)[places] == Tissue.MUCOSA
    if mucosa.any():
        air_mm = to_mm(maps["air_distance"].reshape(-1)[places])
        mucosa &= air_mm < rng.uniform(*_MUCOSA_MM)
    return mucosa


@dataclass(frozen=True, eq=False)
class _Fields:
    """Smooth fields at some samples, (n,) each, whose level sets are the shapes of one slab."""

    sheets: Field
    pads: Field
    cords: Field

    @classmethod
    def draw(cls, grid: SlabGrid, rng: Rng, places: Places) -> _Fields:
        """Draw the scale of each kind of shape, and the shapes at places in the raveled slab."""
        scales = (_SHEET_SCALE_MM, _PAD_SCALE_MM, _CORD_SCALE_MM)
        fields = (grid.field(rng, rng.uniform(*scale)) for scale in scales)
        return cls(*(field.reshape(-1)[places] for field in fields))


def _deep_tissue(
    depth_mm: Field, bone_mm: Field, grid: SlabGrid, rng: Rng, places: Places
) -> Labels:
    """What the tissue is below the skin at places in the raveled slab, (n,) as all else here."""
    fields = _Fields.draw(grid, rng, places)
    fat_mm = rng.uniform(*(_NECK_FAT_MM if rng.random() < 0.2 else _FAT_MM))
    waves = grid.field(rng, 25.0).reshape(-1)[places]
    below_skin = depth_mm < fat_mm + rng.uniform(0.5, 2.0) * waves
    split = np.full(depth_mm.shape, Tissue.MUSCLE, np.uint8)
    np.putmask(split, fields.pads < -rng.uniform(*_GLAND_THRESHOLD), Tissue.GLAND)
    np.putmask(split, fields.pads > rng.uniform(*_PAD_THRESHOLD), Tissue.FAT)
    _lay_sheets(split, fields, rng)
    # the sheets go on below the skin as septa: muscle of expression, and collagen
    septum = np.abs(fields.sheets) < rng.uniform(0.0, 0.6) * _SHEET_HALF_WIDTH[1]
    np.putmask(split, below_skin, Tissue.FAT)
    np.putmask(split, below_skin & septum, Tissue.MUSCLE if rng.random() < 0.5 else Tissue.TENDON)
    _lay_cords(split, fields, rng)
    _lay_on_bone(split, bone_mm, fields, rng)
    return split


def _lay_sheets(split: Labels, fields: _Fields, rng: Rng) -> None:
    """Put fat into the fascial sheets, and aponeuroses beside them where cords run high."""
    half_width = rng.uniform(*_SHEET_HALF_WIDTH)
    distance = np.abs(fields.sheets)
    np.putmask(split, distance < half_width, Tissue.FAT)
    if rng.random() < _SEPTUM_SHARE:
        np.putmask(split, np.abs(fields.cords + 0.5) < rng.uniform(*_SEPTUM_HALF_WIDTH), Tissue.FAT)
    if rng.random() < 0.6:
        beside = (distance >= half_width) & (distance < half_width + rng.uniform(0.02, 0.1))
        np.putmask(split, beside & (fields.cords > rng.uniform(-0.5, 1.5)), Tissue.TENDON)


def _lay_cords(split: Labels, fields: _Fields, rng: Rng) -> None:
    """Put vessels into the sheets, and tendons between sheets, where two fields are near 0."""
    across = np.abs(fields.cords)
    half_width = rng.uniform(*_CORD_HALF_WIDTH)
    np.putmask(split, (np.abs(fields.sheets) < half_width) & (across < half_width), Tissue.BLOOD)
    half_width = rng.uniform(*_CORD_HALF_WIDTH)
    tendon = (np.abs(fields.sheets - 0.8) < half_width) & (across < half_width)
    np.putmask(split, tendon, Tissue.TENDON)


def _lay_on_bone(split: Labels, bone_mm: Field, fields: _Fields, rng: Rng) -> None:
    """Put periosteum and entheses of collagen on bone, and cartilage between bones."""
    if rng.random() < 0.8:
        on_bone = bone_mm < rng.uniform(*_ON_BONE_MM)
        np.putmask(
            split, on_bone & (fields.cords > rng.uniform(*_ON_BONE_THRESHOLD)), Tissue.TENDON
        )
    disc = (bone_mm < _DISC_MM) & (fields.pads < -rng.uniform(*_DISC_THRESHOLD))
    np.putmask(split, disc, Tissue.CARTILAGE)


def _line_with_dura(tissue: Labels, bone_mm: Field, rng: Rng) -> Labels:
    """Return the tissue with dura where brain or fluid lies on bone."""
    near = np.flatnonzero((bone_mm < rng.uniform(*_DURA_MM)) & (bone_mm > 0.0))
    lined = tissue.copy()
    lined.reshape(-1)[near[_IS_LINED[tissue.reshape(-1)[near]]]] = Tissue.DURA
    return lined


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
    proportions, shunt = draw_proportions(rng), draw_shunt(head, rng)
    teeth, opening = draw_teeth(head, rng), draw_opening(head, rng)
    index = sample_index(head, grid, rng, place or random_body_voxel)
    index = proportions.moved(index, head.brain_centre, head.spacing_mm)
    maps = look_up(head, index)
    if varied.brain_size != 1.0:
        maps["soft"] = with_brain_of(varied.brain_size, head, index, maps["soft"])
    fluid = below_fluid_level(head, maps, varied, index[1])
    skull = draw_skull(maps, varied, grid, rng, fluid=fluid)
    if opening is not None:
        skull = skull.opened(opening, index, head.spacing_mm)
    if shunt is not None:
        drilled_mm = shunt.drilled(skull.solid_mm, skull.points(index), head.spacing_mm)
        skull = replace(skull, solid_mm=drilled_mm)
    bone_mm = to_mm(maps["bone_distance"])
    bone_mm.reshape(-1)[skull.place] = skull.solid_mm
    soft = split_soft_tissue(maps["soft"], maps, grid, rng, bone_mm=bone_mm)
    share = draw_bone_share(maps["part"], skull, varied, grid, rng)
    layers = _composed(maps, skull, soft, grid)
    if teeth is not None:
        _lay_teeth(layers, share, lay_teeth(teeth, head, index))
    if shunt is not None:
        shunt.lay(layers, share, index, head.spacing_mm)
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
