"""A CT series with a tilted gantry and uneven gaps, brought onto a rectangular grid.

The readers of the package refuse such a series. For figures of a whole head a linear interpolation
is good enough: slices are shifted along their columns until they stack along their normal, then
interpolated to the distance of the first two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from scipy import ndimage

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume

AIR_HU = -1000.0
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def straightened_ct(folder: Path) -> Volume:
    """Read the slices (.dcm) of one CT series in HU; columns, rows, slices become i, j, k."""
    files = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    orientation = np.asarray(files[0].ImageOrientationPatient, dtype=float)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    corners = np.array([file.ImagePositionPatient for file in files], dtype=float)
    order = np.argsort(corners @ normal)
    corners = corners[order]
    heights_mm = (corners - corners[0]) @ normal
    pixel_mm = [float(mm) for mm in files[0].PixelSpacing]
    slices = []
    for place, number in enumerate(order):
        file = files[number]
        hu = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
        moved_px = (corners[place] - corners[0]) @ column / pixel_mm[0]
        hu = np.maximum(hu, AIR_HU)
        slices.append(ndimage.shift(hu, (moved_px, 0.0), order=1, mode="constant", cval=AIR_HU))
    stack = np.stack(slices)
    step_mm = heights_mm[1]
    wanted_mm = np.arange(0.0, heights_mm[-1], step_mm)
    place = np.interp(wanted_mm, heights_mm, np.arange(len(files)))
    below = np.minimum(place.astype(int), len(files) - 2)
    share = (place - below)[:, None, None]
    regular = stack[below] * (1.0 - share) + stack[below + 1] * share
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * pixel_mm[1], column * pixel_mm[0]
    affine[:3, 2], affine[:3, 3] = normal * step_mm, corners[0]
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    voxels = np.ascontiguousarray(regular.transpose(2, 1, 0), dtype=np.float32)
    i, j, k = voxels.shape
    return Volume(voxels, Geometry((i, j, k), affine), "HU")
