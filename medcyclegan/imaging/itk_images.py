"""Volumes as SimpleITK has them, and both sides of a registration on one spacing.

RAS becomes LPS here and back, and nowhere else on the way to SimpleITK.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk  # noqa: N813  # the name that its users know
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import FloatArray, Geometry, smoothing_sigma
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.imaging.body_mask import BoolArray

# RAS and LPS differ in the signs of the first two axes, both ways.
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

AIR_HU = -1000.0
# HU that registration sees: air, fat and soft tissue apart, bone without metal.
_CT_RANGE_HU = (AIR_HU, 1500.0)
_MR_PERCENTILES = (0.5, 99.5)
# Around the body, so that its outline counts too.
_RIM_MM = 12.0
# Stands for: not in the field of view. No image has it.
_UNSEEN = -30_000.0


def itk_image(volume: Volume, voxels: NDArray[np.generic] | None = None) -> sitk.Image:
    """Return a volume as SimpleITK has it, in LPS; ``voxels`` (i, j, k) in place of its own."""
    values = volume.voxels if voxels is None else voxels
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(values).transpose(2, 1, 0)))
    affine_lps = _LPS @ volume.geometry.affine_ras
    spacing = np.asarray(volume.geometry.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine_lps[:3, 3].tolist())
    return image


def itk_rigid(matrix_ras: FloatArray) -> sitk.Euler3DTransform:
    """Return the rigid transform of a matrix (4, 4) of RAS as SimpleITK has it."""
    matrix = _LPS @ matrix_ras @ _LPS
    transform = sitk.Euler3DTransform()
    transform.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def matrix_of(transform: sitk.Transform) -> FloatArray:
    """Return the matrix (4, 4) in RAS of an affine SimpleITK transform."""
    at = moved_points(transform, np.vstack([np.zeros(3), np.eye(3)]))
    matrix = np.eye(4)
    matrix[:3, 3] = at[0]
    matrix[:3, :3] = (at[1:] - at[0]).T
    return np.asarray(_LPS @ matrix @ _LPS)


def moved_points(transform: sitk.Transform, points_lps_mm: FloatArray) -> FloatArray:
    """Apply a transform to points (n, 3)."""
    return np.array([transform.TransformPoint(point) for point in points_lps_mm.tolist()])


def resampled(
    moving: Volume, geometry: Geometry, transform: sitk.Transform, *, fill: float
) -> tuple[Volume, BoolArray]:
    """Bring a volume through a transform onto a grid, by one linear interpolation.

    Where the grid is coarser than the volume, the volume is smoothed to its spacing first. A
    voxel's value reaches half a voxel beyond the outermost centres; further out is ``fill``.

    Returns
    -------
    The volume on ``geometry``, and where (i, j, k) that grid lies in the field of view.
    """
    old, new = np.asarray(moving.geometry.spacing_mm), np.asarray(geometry.spacing_mm)
    along = np.abs(moving.geometry.directions_ras.T @ geometry.directions_ras).argmax(axis=1)
    sigma_mm = smoothing_sigma(old, new[along])
    smooth = ndimage.gaussian_filter(moving.voxels, sigma_mm / old, mode="nearest", truncate=3.0)
    grid = itk_image(Volume(np.zeros(geometry.shape, np.float32), geometry, "mask"))
    ones = itk_image(moving, np.ones(moving.geometry.shape, np.uint8))
    moved = sitk.Resample(itk_image(moving, smooth), grid, transform, sitk.sitkLinear, fill)
    seen = sitk.Resample(ones, grid, transform, sitk.sitkNearestNeighbor, 0)
    return (
        Volume(_array(moved), geometry, moving.unit),
        np.ascontiguousarray(_array(seen) > 0),
    )


def _array(image: sitk.Image) -> NDArray[np.float32]:
    """(i, j, k)."""
    return np.asarray(sitk.GetArrayFromImage(image).transpose(2, 1, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Level:
    """Both sides of a registration on about one spacing, each on a grid of its own.

    Arrays of this class are (k, j, i), as SimpleITK gives them. ``body`` and ``moving_body`` are
    shares of body, 0 to 1.
    """

    fixed: sitk.Image
    moving: sitk.Image
    body: sitk.Image
    moving_body: sitk.Image

    def coarser(self, spacing_mm: float) -> Level:
        """Return both sides on a coarser spacing; axes that are coarser already stay."""
        images = (self.fixed, self.moving, self.body, self.moving_body)
        return Level(*(_coarse(image, spacing_mm) for image in images))

    def swapped(self) -> Level:
        """Return the level for the way back."""
        return Level(self.moving, self.fixed, self.moving_body, self.body)

    @cached_property
    def fixed_values(self) -> FloatVoxels:
        """The values of the fixed side."""
        return np.asarray(sitk.GetArrayFromImage(self.fixed))

    @cached_property
    def body_mask(self) -> BoolArray:
        """Where the fixed body is."""
        return np.asarray(sitk.GetArrayFromImage(self.body) > 0.5)

    @cached_property
    def rim(self) -> sitk.Image:
        """The fixed body with a rim of air around it, as a mask."""
        reach = [max(1, round(_RIM_MM / mm)) for mm in self.body.GetSpacing()]
        return sitk.BinaryDilate(self.body > 0.5, reach)

    @cached_property
    def rim_mask(self) -> BoolArray:
        """The same as an array."""
        return np.asarray(sitk.GetArrayFromImage(self.rim) > 0)

    @cached_property
    def fixed_body_lps_mm(self) -> FloatArray:
        """(n, 3), all voxel centres of the fixed body."""
        return _points(self.body)

    @cached_property
    def moving_body_lps_mm(self) -> FloatArray:
        """(n, 3), all voxel centres of the moving body."""
        return _points(self.moving_body)

    def points_lps_mm(self, most: int = 2000) -> FloatArray:
        """(n, 3), at most so many voxel centres of the fixed body, evenly picked."""
        return self.fixed_body_lps_mm[:: max(1, len(self.fixed_body_lps_mm) // most)]

    def box_mm(self) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and the highest corner of the fixed grid along its own axes."""
        return np.zeros(3), np.asarray(self.fixed.GetSize()) * np.asarray(self.fixed.GetSpacing())

    def moved(self, transform: sitk.Transform) -> tuple[FloatVoxels, BoolArray]:
        """Return the moving values on the fixed grid, and where they have a field of view."""
        image = sitk.Resample(self.moving, self.fixed, transform, sitk.sitkLinear, _UNSEEN)
        values = np.asarray(sitk.GetArrayFromImage(image))
        return values, values > _UNSEEN

    def moved_body(self, transform: sitk.Transform) -> BoolArray:
        """Where the moving body comes to lie on the fixed grid."""
        image = sitk.Resample(self.moving_body, self.fixed, transform, sitk.sitkLinear, 0.0)
        return np.asarray(sitk.GetArrayFromImage(image) > 0.5)


def level_of(
    fixed: Volume, fixed_body: Volume, moving: Volume, moving_body: Volume, *, spacing_mm: float
) -> Level:
    """Bring an MR or CT and its body mask, and a moving one with its own, to one spacing.

    Values are clipped to what registration sees; of a CT, what is not body (a couch) is air.
    """
    images = (
        _visible(fixed, fixed_body), _visible(moving, moving_body),
        itk_image(fixed_body), itk_image(moving_body),
    )  # fmt: skip
    return Level(*(_coarse(image, spacing_mm) for image in images))


def _visible(image: Volume, body: Volume) -> sitk.Image:
    if image.unit == "HU":
        clipped = np.clip(image.voxels, *_CT_RANGE_HU)
        return itk_image(image, np.where(body.voxels > 0, clipped, np.float32(AIR_HU)))
    low, high = np.percentile(image.voxels, _MR_PERCENTILES).astype(np.float32)
    # The root brings skin and a neck far from the coil out of the lowest bins: it halved the error
    # of a T2 with a dark neck, from 1.25 to 0.65 mm.
    return itk_image(image, np.sqrt(np.clip(image.voxels, low, high) - low))


def _points(body: sitk.Image) -> FloatArray:
    inside = np.argwhere(sitk.GetArrayViewFromImage(body) > 0.5)[:, ::-1]
    axes = np.asarray(body.GetDirection()).reshape(3, 3) * body.GetSpacing()
    return np.asarray(inside @ axes.T + np.asarray(body.GetOrigin()))


def _coarse(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Smooth and resample the axes that are finer than ``spacing_mm``; the others stay."""
    old, size = np.asarray(image.GetSpacing()), np.asarray(image.GetSize())
    sigma_mm = smoothing_sigma(old, np.full(3, spacing_mm))
    smooth = sitk.GetImageFromArray(
        ndimage.gaussian_filter(
            sitk.GetArrayFromImage(image).astype(np.float32),
            (sigma_mm / old)[::-1],
            mode="nearest",
            truncate=3.0,
        )
    )
    smooth.CopyInformation(image)
    new_size = np.maximum(1, np.round(size * old / np.maximum(old, spacing_mm))).astype(int)
    new = old * size / new_size
    origin = image.TransformContinuousIndexToPhysicalPoint(((new / old - 1.0) / 2.0).tolist())
    return sitk.Resample(
        smooth, new_size.tolist(), sitk.Transform(), sitk.sitkLinear, origin, new.tolist(),
        image.GetDirection(), 0.0,
    )  # fmt: skip
