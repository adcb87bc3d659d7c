"""Preprocessing for a network and the way back: normalisation, HU windows, bias field.

Keep of a CT what a network did not see, where its output is in HU like its input.
A CT that is only denoised must not lose the couch, the arms outside the box around the body, or the
HU of metal because a network knows nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import ScaleIntensityRange, Transform
from torch import Tensor

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.task import Domain, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.resampling import model_geometry, plane_model_geometry, to_geometry


class WindowScaling(Transform):  # type: ignore[misc]  # MONAI ships no type information
    """Scale a window of physical values linearly to [-1, 1], clipped; with an inverse.

    MONAI's ``ScaleIntensityRange`` does the work both ways; it has no inverse of its own.
    inverse(forward(x)) = x for x inside the window.
    """

    def __init__(self, window: Window) -> None:
        lower, upper = window.lower, window.upper
        self.forward = ScaleIntensityRange(lower, upper, -1.0, 1.0, clip=True)
        self.backward = ScaleIntensityRange(-1.0, 1.0, lower, upper, clip=True)

    def __call__(self, values: Tensor) -> Tensor:
        """Physical values of any shape -> [-1, 1]."""
        return _plain(self.forward(values))

    def inverse(self, values: Tensor) -> Tensor:
        """[-1, 1] of any shape -> physical values; what lies outside is clipped to the window."""
        return _plain(self.backward(values))


def _plain(values: MetaTensor) -> Tensor:
    """Drop the metadata: MONAI would carry them through every operation of a network."""
    return values.as_tensor()  # type: ignore[no-any-return]


def fit_window(volume: Volume, body: Volume, domain: Domain) -> Window:
    """Return the window of a domain for one volume.

    A fixed window is returned as it is; percentiles are taken over the voxels of ``volume`` inside
    ``body``, a mask on the same grid.

    Raises
    ------
    InputRefused
        If the mask is empty or the body has no contrast.
    """
    if isinstance(domain.scaling, Window):
        return domain.scaling
    inside = volume.voxels[body.voxels > 0]
    if inside.size == 0:
        raise InputRefused("The body mask is empty", rule="percentiles need voxels of the body")
    lower, upper = np.percentile(inside, (domain.scaling.lower, domain.scaling.upper))
    if not lower < upper:
        raise InputRefused(
            f"All of the body has one value ({lower:g})",
            rule="an image needs contrast",
            remedy="check that this is the scan you meant",
        )
    return Window(lower=float(lower), upper=float(upper))


@dataclass(frozen=True, eq=False)
class Prepared:
    """``values`` is (D, H, W) float32 in [-1, 1] on ``geometry``; D runs along the slabs."""

    values: Tensor
    geometry: Geometry
    window: Window


def prepare(volume: Volume, body: Volume, task: Task, *, normal: int) -> Prepared:
    """Resample to the model grid for slabs along the world axis ``normal``, scale to [-1, 1].

    ``body`` is a mask on the volume's grid; it sets the field of view and the percentiles.
    """
    window = fit_window(volume, body, task.source)
    return on_grid(volume, model_geometry(volume.geometry, body, task, normal=normal), window)


def prepare_plane(volume: Volume, task: Task) -> Prepared:
    """Bring a picture or radiograph to the model grid, scaled to [-1, 1]; D is 1.

    It has no place in space and may fill its frame, so all of it counts for the percentiles.
    """
    everything = volume.with_voxels(np.ones_like(volume.voxels), unit="mask")
    window = fit_window(volume, everything, task.source)
    return on_grid(volume, plane_model_geometry(volume.geometry, task), window)


def on_grid(volume: Volume, geometry: Geometry, window: Window) -> Prepared:
    """Resample to a grid (D, H, W), and scale ``window`` to [-1, 1]."""
    resampled = to_geometry(volume, geometry, fill=window.lower)
    values = WindowScaling(window)(torch.from_numpy(np.array(resampled.voxels)))
    return Prepared(values, geometry, window)


def to_native_space(values: Tensor, prepared: Prepared, task: Task, home: Geometry) -> Volume:
    """Turn network output (D, H, W) in [-1, 1] into physical values on the grid ``home``.

    Outside the model grid lies the lowest value of the target's window: air for a CT.
    """
    window = task.target_window
    physical = WindowScaling(window).inverse(values).numpy()
    on_grid = Volume(physical, prepared.geometry, task.target.unit)
    return to_geometry(on_grid, home, fill=window.lower)


# Below any noise around air (-1000): what scanners put outside their circle of reconstruction.
PADDING_HU = -1500.0
# Interpolated ones are ones but for the rounding of float32.
WHOLE = 1.0 - 1e-3


def keep_outside_fov(made: Volume, seen: Prepared, source: Volume) -> Volume:
    """Put ``source`` back where the network had no part in ``made``, both HU on one grid.

    That is off the grid ``seen``; above its window, where all values look alike to the network; and
    where there is padding in place of an image. Along the border of the grid, where a voxel lies
    partly on it, the two are mixed by that part.
    """
    ones = Volume(np.ones(seen.geometry.shape, np.float32), seen.geometry, "mask")
    share = np.array(to_geometry(ones, source.geometry, fill=0.0).voxels)
    share[share > WHOLE] = 1.0
    share[(source.voxels > seen.window.upper) | (source.voxels < PADDING_HU)] = 0.0
    mixed = share * made.voxels + (1.0 - share) * source.voxels
    return made.with_voxels(mixed.astype(np.float32))


if TYPE_CHECKING:
    import SimpleITK as sitk  # noqa: N813  # the name that its users know

# The field is smooth: N4 fits it on a grid of about 4 mm and it is applied at full resolution.
FIT_SPACING_MM = 4.0
FITTING_LEVELS = 3
ITERATIONS_A_LEVEL = 30
# The cubic splines of the field need as many knots along every axis.
FEWEST_VOXELS = 4


def correct_bias(mr: Volume, head: Volume) -> Volume:
    """Divide an MR by its bias field, fitted by N4 inside the mask ``head`` on the same grid.

    N4: Tustison et al., IEEE Transactions on Medical Imaging 2010, 29:1310.

    Raises
    ------
    InputRefused
        If there are too few slices to fit a field to.
    """
    if min(mr.geometry.shape) < FEWEST_VOXELS:
        raise InputRefused(
            f"Bias correction of {mr.geometry.shape} voxels",
            rule=f"N4 needs at least {FEWEST_VOXELS} along every axis",
            remedy="leave out --bias-correction",
        )
    import SimpleITK as sitk  # noqa: N813  # here, as few runs need it and loading takes time

    image, mask = _to_sitk(mr), sitk.Cast(_to_sitk(head) > 0, sitk.sitkUInt8)
    shrink = [max(1, round(FIT_SPACING_MM / mm)) for mm in mr.geometry.spacing_mm]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([ITERATIONS_A_LEVEL] * FITTING_LEVELS)
    n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
    log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).transpose(2, 1, 0)
    corrected = mr.voxels / np.exp(log_field)
    return mr.with_voxels(corrected.astype(np.float32))


def _to_sitk(volume: Volume) -> sitk.Image:
    """Voxels with their spacing; where they lie in space does not matter to N4."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    image.SetSpacing(volume.geometry.spacing_mm)
    return image
