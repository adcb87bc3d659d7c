"""Correct the slow shading of an MR (bias field)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.volume import Volume

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
