"""Samples of a head in a slab: labels, distances, and surfaces that cross them.

Look a head up at the samples of a slab: labels at the nearest voxel, distances between voxels.
A label map has steps of a voxel. A distance interpolated between voxels has none, so a surface
found where it is zero is as smooth as the anatomy.

Samples that a surface runs through: what else than their own tissue they hold, and how much.
Where a surface passes a sample's centre at a distance d, the share beyond it is 1/2 - d / h to
first order, h being the sample's width: partial volume without finer samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.label_heads.label_maps import (
    CHANNELS,
    DISTANCES,
    NEAREST,
    HeadAnatomy,
    to_steps,
    unpacked,
)
from medcyclegan.simulate.slab_grid import Field, Rng, SlabGrid
from medcyclegan.simulate.tissues import Tissue

Place = Callable[[HeadAnatomy, Rng], NDArray[np.int64]]
Words = NDArray[np.uint32]
Maps = dict[str, NDArray[np.uint8]]

_IN_SKULL = np.zeros(256, dtype=bool)
_IN_SKULL[[Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY, Tissue.CSF]] = True

# Two bytes of a number lie in two lanes of 16 bits, where a byte times 256 has room.
_LANES = np.uint32(0x00FF00FF)
_BYTE = np.uint32(8)
_HALF = np.uint32(0x00800080)
# Size of the head against that of the map, and of each of its axes.
_SIZE, _STRETCH = (0.85, 1.15), (0.93, 1.07)
# A smooth warp makes a shape of its own; its amplitude is a share of its scale.
_WARP_SCALE_MM, _WARP_STRAIN = (25.0, 110.0), 0.055
# Where distances are interpolated, millimetres: where some surface may come to lie, the lower one
# of skin and those of the tables of bone among them.
_INTERPOLATED_MM = {
    "bone_distance": (-3.0, 2.75), "air_distance": (-2.0, 2.0), "depth_below_skin": (-1.0, 3.0),
}  # fmt: skip


def sample_index(head: HeadAnatomy, grid: SlabGrid, rng: Rng, place: Place) -> list[Field]:
    """Head voxel coordinates of every sample: three arrays (D * S, H, W)."""
    axes = [grid.normal_axis] + [axis for axis in range(3) if axis != grid.normal_axis]
    pose = _small_rotation(rng) * rng.uniform(*_SIZE) @ np.diag(rng.uniform(*_STRETCH, 3))
    flips = np.where(rng.random(3) < (0.5, 0.1, 0.1), -1.0, 1.0)
    pose = pose @ np.diag(flips)
    in_pixel_mm = _offsets_in_pixel(grid, rng) * grid.pixel_mm
    offsets = (
        _slice_offsets_mm(grid)[:, None, None],
        _centred(grid.size_px, grid.pixel_mm)[None, :, None] + in_pixel_mm[:, 0, None, None],
        _centred(grid.size_px, grid.pixel_mm)[None, None, :] + in_pixel_mm[:, 1, None, None],
    )
    centre = place(head, rng)
    warp_scale_mm = rng.uniform(*_WARP_SCALE_MM)
    warp_mm = rng.uniform(0.0, _WARP_STRAIN) * warp_scale_mm
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


def _offsets_in_pixel(grid: SlabGrid, rng: Rng) -> NDArray[np.float64]:
    """Where in its pixel each sub-slice is sampled, (D * S, 2), in pixels from the middle.

    The sub-slices of a slice stand apart in both directions, evenly over the pixel, so that their
    mean is one over the pixel as over the slice: oversampling in the plane that costs nothing.
    """
    count = grid.sub_slices
    places = [(rng.permutation(count) + 0.5) / count - 0.5 for _ in range(2)]
    return np.tile(np.stack(places, axis=-1), (grid.depth, 1))


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
    depth = CHANNELS.index("depth_below_skin")
    while True:
        voxel = rng.integers(0, head.maps.shape[:3])
        if head.maps[voxel[0], voxel[1], voxel[2], depth] > to_steps(0.0):
            return np.asarray(voxel)


def places_in_box(
    index: list[Field], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Places in the raveled slab of the samples within a box of the head, (n,)."""
    for axis in range(3):
        if index[axis].max() < low[axis] or index[axis].min() > high[axis]:
            return np.zeros(0, dtype=np.int64)
    near = (index[2] > low[2]) & (index[2] < high[2])
    near &= (index[1] > low[1]) & (index[1] < high[1])
    near &= (index[0] > low[0]) & (index[0] < high[0])
    return np.flatnonzero(near)


def look_up(head: HeadAnatomy, index: list[Field]) -> Maps:
    """Sample a head, (D * S, H, W) a map; what lies outside its box is as its edge.

    The maps are those of ``CHANNELS``, unpacked. Distances are interpolated
    linearly near their surfaces and those of the nearest voxel elsewhere.
    """
    shape = head.nearest.shape
    inside = [
        np.clip(values, 0.0, n - 1.001).astype(np.float32)
        for values, n in zip(index, shape, strict=True)
    ]
    nearest = [np.rint(values).astype(np.int32) for values in inside]
    flat = (nearest[0] * shape[1] + nearest[1]) * shape[2] + nearest[2]
    maps = _unpack(head.nearest.reshape(-1).take(flat), NEAREST)
    distances = head.distances.reshape(-1).take(flat)
    near = np.flatnonzero(_near_a_surface(_unpack(distances, DISTANCES)))
    distances.reshape(-1)[near] = interpolated(
        head.distances, [values.reshape(-1)[near] for values in inside]
    )
    maps |= _unpack(distances, DISTANCES)
    return maps | unpacked(maps.pop("region"), maps.pop("bone"))


def with_brain_of(
    size: float, head: HeadAnatomy, index: list[Field], soft: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Shrink or grow the brain around its middle, and let fluid fill what it leaves.

    ``soft`` (D * S, H, W) is the tissue without bone. A brain of ``size`` .93 has a gap to the
    skull that is some 5 mm wider; one above 1 fills the skull.
    """
    place = np.flatnonzero(_IN_SKULL[soft])
    centre, shape = head.brain_centre, head.nearest.shape
    flat = np.zeros(place.size, dtype=np.int32)
    for axis, n in enumerate(shape):
        values = index[axis].reshape(-1)[place]
        moved = (values - centre[axis]) / np.float32(size) + centre[axis]
        flat = flat * n + np.clip(np.rint(moved), 0, n - 1).astype(np.int32)
    found = head.nearest.reshape(-1).take(flat).astype(np.uint8)  # the lowest byte
    changed = soft.copy()
    changed.reshape(-1)[place] = np.where(_IN_SKULL[found], found, np.uint8(Tissue.CSF))
    return changed


def _unpack(words: Words, names: tuple[str, ...]) -> Maps:
    return {
        name: (words >> np.uint32(8 * place)).astype(np.uint8) for place, name in enumerate(names)
    }


def _near_a_surface(distances: Maps) -> NDArray[np.bool_]:
    near = np.zeros(distances["bone_distance"].shape, dtype=bool)
    for name, (low, high) in _INTERPOLATED_MM.items():
        # Bytes below the range wrap around to large ones.
        near |= (distances[name] - to_steps(low)) < to_steps(high) - to_steps(low)
    return near


def interpolated(words: Words, index: list[Field]) -> Words:
    """Interpolate all four bytes of numbers (i, j, k) linearly at points, (n,) each.

    Weights have 8 bits, and each of the three steps is rounded: results are at most two off. Points
    lie within the array, and not on its upper ends.
    """
    _, ny, nz = words.shape
    low = [values.astype(np.int32) for values in index]
    flat = (low[0] * ny + low[1]) * nz + low[2]
    weights = [
        ((values - below) * 256.0).astype(np.uint32)
        for values, below in zip(index, low, strict=True)
    ]
    table = words.reshape(-1)
    rows = []
    for step in (0, nz, ny * nz, ny * nz + nz):
        first, second = table.take(flat + step), table.take(flat + (step + 1))
        rows.append(
            (
                _mix(first & _LANES, second & _LANES, weights[2]),
                _mix((first >> _BYTE) & _LANES, (second >> _BYTE) & _LANES, weights[2]),
            )
        )
    lanes = []
    for lane in (0, 1):
        near = _mix(rows[0][lane], rows[1][lane], weights[1])
        far = _mix(rows[2][lane], rows[3][lane], weights[1])
        lanes.append(_mix(near, far, weights[0]))
    return np.asarray(lanes[0] | (lanes[1] << _BYTE), dtype=np.uint32)


def _mix(first: Words, second: Words, weight: Words) -> Words:
    """Two lanes at once: first + (second - first) * weight / 256."""
    mixed = first * (np.uint32(256) - weight)
    mixed += second * weight + _HALF
    mixed >>= _BYTE
    mixed &= _LANES
    return mixed


Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Samples of two tissues, (n,) each: their place in the raveled slab, the second tissue, and
    the share of it, from 0 to .5."""

    place: NDArray[np.int64]
    other: Labels
    share: Field

    @classmethod
    def none(cls) -> Surfaces:
        """A slab whose samples are of one tissue each."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.float32))

    def without(self, where: NDArray[np.bool_]) -> Surfaces:
        """Those that do not lie where a slab's mask is set."""
        kept = ~where.reshape(-1)[self.place]
        return Surfaces(self.place[kept], self.other[kept], self.share[kept])

    def mix(self, values: Field, table: NDArray[np.float64]) -> Field:
        """Mix values (D * S, H, W) of samples with what the other tissue has in a table."""
        mixed = np.array(values, dtype=np.float32)
        flat = mixed.reshape(-1)
        here = flat[self.place]
        flat[self.place] = here + self.share * (table.astype(np.float32)[self.other] - here)
        return mixed


class Layers:
    """Tissues laid over one another, with the samples that their surfaces run through."""

    def __init__(self, lowest: Labels, width_mm: float) -> None:
        self.tissue = lowest.copy()
        self._other = np.zeros(lowest.size, dtype=np.uint8)
        self._share = np.zeros(lowest.size, dtype=np.float32)
        self._width_mm = np.float32(width_mm)

    def lay(self, place: NDArray[np.int64], distance_mm: Field, upper: Labels | int) -> None:
        """Lay a tissue, (n,) or one for all, where a signed distance (n,) is negative.

        ``place`` (n,) holds places in the raveled slab, each once. Of several surfaces in a sample
        the nearest is kept, but what a layer fills holds no more of those below it.
        """
        reached = np.flatnonzero(distance_mm < 0.5 * self._width_mm)
        place, distance_mm = place[reached], distance_mm[reached]
        above = upper[reached] if isinstance(upper, np.ndarray) else np.uint8(upper)
        beyond = np.maximum(np.float32(0.5) - np.abs(distance_mm) / self._width_mm, 0.0)
        flat = self.tissue.reshape(-1)
        below, inside = flat[place], distance_mm < 0.0
        replaced = inside | (beyond > self._share[place])
        flat[place] = np.where(inside, above, below)
        self._share[place] = np.where(replaced, beyond, self._share[place])
        self._other[place] = np.where(replaced, np.where(inside, below, above), self._other[place])

    def surfaces(self) -> Surfaces:
        """The samples of two tissues."""
        mixed = self._share > 0.0
        mixed &= self._other != self.tissue.reshape(-1)
        place = np.flatnonzero(mixed)
        return Surfaces(place, self._other[place], self._share[place])
