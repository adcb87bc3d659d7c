"""A CT guessed from an MR by thresholds alone: what was done before networks, as a baseline."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from medcyclegan.core.volume import Volume
from medcyclegan.imaging.body_mask import closed, without_specks

# What bone gets: about the mean of skull with its marrow.
BONE_HU = 800.0
# The dark rim of the body is partial volume of skin and air, and skin is no bone.
SKIN_MM = 4.0
# Noise is averaged over this before it is thresholded, standard deviation.
SMOOTHING_MM = 0.8
CLOSING_MM = 1.5
SPECK_ML = 1.0


def thresholded_ct(mr: Volume, body: Volume) -> Volume:
    """Return a CT in HU on the MR's grid: air outside, bone where the head is dark, water else.

    The signal inside the body (roots, which tame bright fat and fluid) is parted into three classes
    by Otsu's method; the darkest is bone, where it lies deeper than the skin, after gaps have been
    closed and specks dropped. It takes the air of sinuses for bone, and dark fluid or muscle too:
    no threshold can tell them apart.
    """
    spacing_mm = mr.geometry.spacing_mm
    sigma = [SMOOTHING_MM / mm for mm in spacing_mm]
    signal = np.sqrt(np.maximum(ndimage.gaussian_filter(mr.voxels, sigma), 0.0))
    inside = body.voxels > 0
    values = signal[inside]
    low, high = np.percentile(values, (0.5, 99.0))
    cut = float(threshold_multiotsu(np.clip(values, low, high), classes=3)[0])
    depth_mm = ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    dark = inside & (signal < cut) & (depth_mm > SKIN_MM)
    bone = without_specks(closed(dark, spacing_mm, CLOSING_MM), spacing_mm, SPECK_ML) & inside
    hu = np.where(inside, np.where(bone, BONE_HU, 0.0), -1000.0)
    return mr.with_voxels(hu.astype(np.float32), unit="HU")
