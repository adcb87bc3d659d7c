"""Physical values to [-1, 1] and back, as MONAI transforms."""

from __future__ import annotations

import numpy as np
from monai.config import NdarrayOrTensor
from monai.transforms import ScaleIntensityRange, Transform

from medcyclegan.errors import InputRefused
from medcyclegan.task import Domain, Window
from medcyclegan.volume import Volume


class WindowScaling(Transform):  # type: ignore[misc]  # MONAI ships no type information
    """Scale a window of physical values linearly to [-1, 1], clipped; with an inverse.

    MONAI's ``ScaleIntensityRange`` does the work both ways; it has no inverse of its own.
    inverse(forward(x)) = x for x inside the window.
    """

    def __init__(self, window: Window) -> None:
        lower, upper = window.lower, window.upper
        self.forward = ScaleIntensityRange(lower, upper, -1.0, 1.0, clip=True)
        self.backward = ScaleIntensityRange(-1.0, 1.0, lower, upper, clip=True)

    def __call__(self, values: NdarrayOrTensor) -> NdarrayOrTensor:
        """Physical values of any shape -> [-1, 1]."""
        return self.forward(values)

    def inverse(self, values: NdarrayOrTensor) -> NdarrayOrTensor:
        """[-1, 1] of any shape -> physical values; what lies outside is clipped to the window."""
        return self.backward(values)


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
