"""Draw a slab of tissue from a head: random place, pose, warp, and random anatomy.

Slabs are (D, H, W): D runs along the slice normal; each slice is made of S thinner sub-slices,
so that thick slices get their partial volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field
from medcyclegan.simulate.labelmaps import CHANNELS, HeadAnatomy, to_mm
from medcyclegan.simulate.slab_grid import Rng, SlabGrid
from medcyclegan.simulate.soft_tissue import split_soft_tissue
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.simulate.trabecular import draw_trabecular

Place = Callable[[HeadAnatomy, Rng], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class TissueSlab:
    """``tissue`` is uint8 (D * S, H, W) on the samples of ``grid``.

    ``trabecular`` float32 (D * S, H, W) is the share of bone where the tissue is marrow; the
    CT and the MR both follow from it.
    """

    tissue: NDArray[np.uint8]
    grid: SlabGrid
    trabecular: Field

    def paint(self, table: NDArray[np.float64]) -> Field:
        """Return each sample's value, float32 (D * S, H, W), of a table (number of tissues,)."""
        return table.astype(np.float32)[self.tissue]


def draw_tissue(
    head: HeadAnatomy, grid: SlabGrid, rng: Rng, *, place: Place | None = None
) -> TissueSlab:
    """Sample a head on a turned, scaled and warped slab, and vary its anatomy.

    ``place`` gives the head's voxel in the middle of the slab; by default a random one.
    """
    index = _sample_index(head, grid, rng, place or random_body_voxel)
    maps = _gather(head, index)
    tissue = _vary_bone(maps, grid, rng)
    tissue = split_soft_tissue(tissue, maps, grid, rng)
    if rng.random() < 0.12:
        tissue = np.where(_defacing_cut(head, index, rng), np.uint8(Tissue.AIR), tissue)
    return TissueSlab(tissue, grid, draw_trabecular(grid, rng))


def _sample_index(head: HeadAnatomy, grid: SlabGrid, rng: Rng, place: Place) -> list[Field]:
    """Head voxel coordinates of every sample: three arrays (D * S, H, W)."""
    axes = [grid.normal_axis] + [axis for axis in range(3) if axis != grid.normal_axis]
    pose = _small_rotation(rng) * rng.uniform(0.85, 1.15) @ np.diag(rng.uniform(0.95, 1.05, 3))
    flips = np.where(rng.random(3) < (0.5, 0.1, 0.1), -1.0, 1.0)
    pose = pose @ np.diag(flips)
    offsets = (
        _slice_offsets_mm(grid)[:, None, None],
        _centred(grid.size_px, grid.pixel_mm)[None, :, None],
        _centred(grid.size_px, grid.pixel_mm)[None, None, :],
    )
    centre = place(head, rng)
    warp_mm, warp_scale_mm = rng.uniform(0.0, 2.5), rng.uniform(25.0, 60.0)
    index: list[Field] = []
    for axis in range(3):
        mm = grid.field(rng, warp_scale_mm) * np.float32(warp_mm)
        for offset, world in zip(offsets, axes, strict=True):
            mm = mm + (offset * pose[axis, world]).astype(np.float32)
        index.append(mm / np.float32(head.spacing_mm[axis]) + np.float32(centre[axis]))
    return index


def _small_rotation(rng: Rng) -> NDArray[np.float64]:
    """(3, 3), turns by about 8 degrees (standard deviation) around each axis."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.normal(0.0, 8.0, 3))):
        cos, sin = np.cos(angle), np.sin(angle)
        step = np.eye(3)
        first, second = [a for a in range(3) if a != axis]
        step[first, first] = step[second, second] = cos
        step[first, second], step[second, first] = -sin, sin
        turn = turn @ step
    return turn


def _centred(n: int, step_mm: float) -> NDArray[np.float64]:
    return np.asarray((np.arange(n) - (n - 1) / 2.0) * step_mm, dtype=np.float64)


def _slice_offsets_mm(grid: SlabGrid) -> NDArray[np.float64]:
    centres = _centred(grid.depth, grid.slice_spacing_mm)
    within = _centred(grid.sub_slices, grid.slice_thickness_mm / grid.sub_slices)
    return np.asarray((centres[:, None] + within[None, :]).ravel())


def middle_voxel(head: HeadAnatomy, rng: Rng) -> NDArray[np.int64]:
    """The middle of the head's box, for a slab that holds the whole head."""
    return np.asarray(head.maps.shape[:3]) // 2


def random_body_voxel(head: HeadAnatomy, rng: Rng) -> NDArray[np.int64]:
    """A random voxel inside the head."""
    while True:
        voxel = rng.integers(0, head.maps.shape[:3])
        if head.maps[voxel[0], voxel[1], voxel[2], 0] != Tissue.AIR:
            return np.asarray(voxel)


def _gather(head: HeadAnatomy, index: list[Field]) -> dict[str, NDArray[np.uint8]]:
    """Nearest-voxel samples of every channel, (D * S, H, W) each; outside the box is its edge."""
    nearest = [
        np.clip(np.rint(values), 0, n - 1).astype(np.int32)
        for values, n in zip(index, head.maps.shape[:3], strict=True)
    ]
    _, ny, nz, channels = head.maps.shape
    flat = (nearest[0] * ny + nearest[1]) * nz + nearest[2]
    samples = head.maps.reshape(-1, channels)[flat]
    return {name: samples[..., c] for c, name in enumerate(CHANNELS)}


def _vary_bone(maps: dict[str, NDArray[np.uint8]], grid: SlabGrid, rng: Rng) -> NDArray[np.uint8]:
    """Move the surface of bone, draw the thickness of its tables, and the temporal bone's cells."""
    distance = to_mm(maps["bone_distance"])
    distance = distance - (rng.uniform(-0.5, 0.9) + 0.4 * grid.field(rng, 30.0))
    labelled = maps["tissue"]
    was_bone = (labelled == Tissue.CORTICAL_BONE) | (labelled == Tissue.MARROW)
    may_be_bone = was_bone | np.isin(labelled, (Tissue.CSF, Tissue.MUSCLE, Tissue.BLOOD))
    bone = may_be_bone & (distance <= 0.0)
    tissue = np.where(was_bone & ~bone, maps["tissue_without_bone"], labelled)
    table_mm = rng.uniform(0.7, 2.2) + 0.4 * grid.field(rng, 20.0)
    if rng.random() < 0.4:
        marrow = (labelled == Tissue.MARROW) | (distance < -np.maximum(table_mm, 2.0))
    else:
        marrow = distance < -table_mm
    tissue = np.where(bone, np.uint8(Tissue.CORTICAL_BONE), tissue)
    tissue = np.where(bone & marrow, np.uint8(Tissue.MARROW), tissue)
    if rng.random() < 0.75:
        cells = (maps["temporal_bone"] == 1) & (grid.field(rng, 3.0) > rng.uniform(-0.4, 1.0))
        tissue = np.where(bone & (distance < -1.5) & cells, np.uint8(Tissue.AIR), tissue)
    return tissue


def _defacing_cut(head: HeadAnatomy, index: list[Field], rng: Rng) -> NDArray[np.bool_]:
    """Samples in front of a slanted plane through the face, as defacing tools remove them."""
    slant = np.deg2rad(rng.uniform(15.0, 60.0))
    anterior = index[1] - rng.uniform(0.78, 0.92) * head.maps.shape[1]
    above = index[2] - 0.45 * head.maps.shape[2]
    return np.asarray(anterior * np.cos(slant) - above * np.sin(slant) > 0.0)
