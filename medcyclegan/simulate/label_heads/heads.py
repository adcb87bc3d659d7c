"""MR and CT volumes of heads from label maps: a volume is a slab as large as the head.

The anatomy is drawn as that of slabs for training is, so pose, scale, warp, bone and soft tissue
vary from subject to subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.contrasts import draw_contrast, standard_signal
from medcyclegan.simulate.head_pairs import CONTRASTS, Pair, Rng, refuse_unknown, streams
from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue, middle_voxel
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import render_ct, render_mr
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue

_NORMALS = ("sagittal", "coronal", "axial")  # by the axis of R, A, S that slices follow
ORIENTATIONS = (*_NORMALS, "random")
THICKNESS_MM = (0.7, 6.0)

# A subject may be drawn larger than its label map, and turned.
_MARGIN = 1.12
# Of slabs one in five is reversed: that so many in a row are, will not be seen.
_TRIES = 20
_CLEARLY_MM = 5.0
# The display range of an MR, which the simulation gives as 1, in a.u.
_MR_UNITS = 1000.0


@dataclass(frozen=True)
class LabelSlices:
    """How slices lie: ``pixel_mm`` in the plane, ``spacing_mm`` and ``thickness_mm`` across it.

    ``size`` is (pixels along a row and a column, slices); None takes as many as hold the head.
    """

    pixel_mm: float
    spacing_mm: float
    thickness_mm: float
    orientation: str = "axial"
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        low, high = THICKNESS_MM
        if not low <= self.thickness_mm <= high:
            raise UsageError(
                f"Slices of {self.thickness_mm} mm", rule=f"they are {low} to {high} mm thick"
            )
        refuse_unknown("Orientation", self.orientation, ORIENTATIONS)

    def grid_around(self, head: HeadAnatomy, rng: Rng) -> SlabGrid:
        """Return the slab that holds a head."""
        drawn = int(rng.choice(3, p=(0.2, 0.2, 0.6)))
        normal = drawn if self.orientation == "random" else _NORMALS.index(self.orientation)
        extent_mm = np.asarray(head.maps.shape[:3]) * np.asarray(head.spacing_mm) * _MARGIN
        across_mm, plane_mm = extent_mm[normal], np.delete(extent_mm, normal).max()
        whole = (int(np.ceil(plane_mm / self.pixel_mm)), int(np.ceil(across_mm / self.spacing_mm)))
        size_px, depth = self.size or whole
        return SlabGrid(depth, size_px, self.pixel_mm, self.spacing_mm, self.thickness_mm, normal)


@dataclass(frozen=True, eq=False)
class LabelHeads:
    """MR and CT of heads from label maps; subject n, counted from 1, is ``heads[n - 1]``."""

    heads: tuple[HeadAnatomy, ...]
    slices: LabelSlices
    contrast: str = "random"

    def __post_init__(self) -> None:
        refuse_unknown("Contrast", self.contrast, CONTRASTS)

    def pair(self, seed: int, subject: int) -> Pair:
        """Return MR (a.u.) and CT (HU, without noise) of a subject, aligned to the voxel."""
        grid_rng, tissue_rng, mr_rng, ct_rng = streams(seed, subject, 4)
        head = self.heads[subject - 1]
        grid = self.slices.grid_around(head, grid_rng)
        slab = draw_upright(head, grid, tissue_rng)
        mr = render_mr(slab, signal=_signal(self.contrast, mr_rng), rng=mr_rng)
        geometry = geometry_of(grid)
        return Pair(
            Volume(np.rint(_to_volume(mr) * np.float32(_MR_UNITS)), geometry, "a.u."),
            Volume(_to_volume(render_ct(slab, ct_rng)), geometry, "HU"),
        )


def draw_upright(head: HeadAnatomy, grid: SlabGrid, rng: Rng) -> TissueSlab:
    """Draw until the brain does not lie below the head's middle, nor the eyes behind it.

    Slabs for training are at times drawn upside down or back to front; volumes of heads are not.
    """
    slab = draw_tissue(head, grid, rng, place=middle_voxel)
    for _ in range(_TRIES):
        if not _is_reversed(slab):
            break
        slab = draw_tissue(head, grid, rng, place=middle_voxel)
    return slab


def _is_reversed(slab: TissueSlab) -> bool:
    middle_mm = _centre_mm(slab, tuple(t for t in Tissue if t != Tissue.AIR))
    brain_mm = _centre_mm(slab, (Tissue.GREY_MATTER, Tissue.WHITE_MATTER))
    eyes_mm = _centre_mm(slab, (Tissue.EYE_FLUID,))
    return bool(brain_mm[2] < middle_mm[2] - _CLEARLY_MM or eyes_mm[1] < middle_mm[1] - _CLEARLY_MM)


def _centre_mm(slab: TissueSlab, tissues: tuple[Tissue, ...]) -> NDArray[np.float64]:
    """The mean place of some tissues along R, A, S; NaN if there are none."""
    found = np.isin(slab.tissue, tissues)
    if not found.any():
        return np.full(3, np.nan)
    grid = slab.grid
    centre = np.empty(3)
    axes = [grid.normal_axis] + [axis for axis in range(3) if axis != grid.normal_axis]
    for along, world in enumerate(axes):
        counts = found.sum(axis=tuple(axis for axis in range(3) if axis != along))
        mean = (counts * np.arange(counts.size)).sum() / counts.sum()
        centre[world] = mean * grid.sampled_spacing_mm[along]
    return centre


def _signal(contrast: str, rng: Rng) -> NDArray[np.float64]:
    """The signal of every tissue, the largest being 1."""
    if contrast == "random":
        return draw_contrast(rng)
    return standard_signal(contrast)


def _to_volume(slab: NDArray[np.float32]) -> NDArray[np.float32]:
    """(D, H, W) along R, A, S -> (i, j, k) with rows and columns turned round; k = D."""
    return np.ascontiguousarray(slab.transpose(1, 2, 0)[::-1, ::-1])


def geometry_of(grid: SlabGrid) -> Geometry:
    """The place of a slab as a volume, centred on the world's origin.

    Columns run to the left or back, rows to the back or down, as radiology shows slices.
    """
    steps_mm = (-grid.pixel_mm, -grid.pixel_mm, grid.slice_spacing_mm)
    first, second = [axis for axis in range(3) if axis != grid.normal_axis]
    shape = (grid.size_px, grid.size_px, grid.depth)
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for column, (world, mm) in enumerate(
        zip((first, second, grid.normal_axis), steps_mm, strict=True)
    ):
        affine[world, column] = mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2.0)
    return Geometry(shape, affine)
