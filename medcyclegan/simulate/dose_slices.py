"""Slices of CT with noise of a random low dose, beside the same without noise.

Filtered back-projection is too slow for every step of a training, so slices are made once. They
are of heads from label maps and of phantom heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.head_pairs import HeadGrid, sample_head, streams
from medcyclegan.simulate.imaging import ct_image, ct_table, smooth_noise
from medcyclegan.simulate.label_heads import geometry_of
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.simulate.low_dose import BRAIN_HEIGHT_MM, Exposure, scan_and_limit
from medcyclegan.simulate.projections import KERNELS
from medcyclegan.simulate.slab_anatomy import draw_tissue, middle_voxel
from medcyclegan.simulate.slab_ct import render_ct
from medcyclegan.simulate.slab_grid import Rng, SlabGrid

Slices = NDArray[np.int16]

SIZE_PX = 256
_SLICES_A_HEAD = 16
_DOSES = (0.08, 0.4)
_PHANTOM_SHARE = 0.3
# Subjects of ``medcyclegan simulate`` come from other seeds than this.
_PHANTOM_SEED = 9_150_326
_BONE_HU = 250.0


def make_dose_slices(
    heads: Sequence[HeadAnatomy], *, seed: int, count: int
) -> tuple[Slices, Slices]:
    """Return low-dose and noise-free slices, each int16 HU (count, 256, 256)."""
    low, limit = np.empty((2, count, SIZE_PX, SIZE_PX), np.int16)
    starts = range(0, count, _SLICES_A_HEAD)
    for start, (noisy, clean) in zip(starts, _stacks(heads, seed), strict=False):
        end = min(count, start + _SLICES_A_HEAD)
        low[start:end], limit[start:end] = noisy[: end - start], clean[: end - start]
    return low, limit


def _stacks(heads: Sequence[HeadAnatomy], seed: int) -> Iterator[tuple[Slices, Slices]]:
    """Slices of one head after the other, int16 HU (slices, 256, 256) each."""
    number = 0
    while True:
        rng = np.random.default_rng((seed, number))
        exposure = Exposure(
            photons=2.5e5 * rng.uniform(0.6, 1.6),
            dose=float(np.exp(rng.uniform(*np.log(_DOSES)))),
            kernel=str(rng.choice(KERNELS)),
        )
        if rng.random() < _PHANTOM_SHARE:
            exact, pixel_mm = _phantom(rng, number)
        else:
            exact, pixel_mm = _label_head(heads[int(rng.integers(len(heads)))], rng)
        scans = scan_and_limit(exact, pixel_mm, exposure, rng=rng)
        noisy, clean = (np.rint(scan).clip(-1024, 3071).astype(np.int16) for scan in scans)
        yield noisy.transpose(2, 0, 1), clean.transpose(2, 0, 1)
        number += 1


def _phantom(rng: Rng, number: int) -> tuple[NDArray[np.float32], float]:
    """Noise-free CT (i, j, k) in HU of a phantom head, and its pixels in mm."""
    pixel_mm = rng.uniform(0.8, 1.05)
    spacing_mm = (pixel_mm, pixel_mm, rng.uniform(3.0, 7.0))
    grid = HeadGrid(spacing_mm, (SIZE_PX, SIZE_PX, _SLICES_A_HEAD), BRAIN_HEIGHT_MM)
    anatomy_rng, pose_rng = streams(_PHANTOM_SEED, number, 2)
    geometry = grid.posed(pose_rng)
    mean, texture = sample_head(geometry, [ct_table(rng)], anatomy_rng).means
    return ct_image(mean, texture, geometry=geometry, noise_hu=0.0, rng=rng), pixel_mm


def _label_head(head: HeadAnatomy, rng: Rng) -> tuple[NDArray[np.float32], float]:
    """Noise-free CT (i, j, k) in HU of slices across a head, and its pixels in mm."""
    spacing_mm = rng.uniform(4.0, 10.0)
    grid = SlabGrid(
        depth=_SLICES_A_HEAD,
        size_px=SIZE_PX,
        pixel_mm=rng.uniform(0.55, 1.05),
        slice_spacing_mm=spacing_mm,
        slice_thickness_mm=min(spacing_mm, rng.uniform(0.8, 5.0)),
        normal_axis=int(rng.choice(3, p=(0.1, 0.1, 0.8))),
    )
    ct = render_ct(draw_tissue(head, grid, rng, place=middle_voxel), rng).transpose(1, 2, 0)
    fine = smooth_noise(geometry_of(grid), sigma_mm=0.6, rng=rng)
    texture_hu = np.where(ct > _BONE_HU, 80.0, np.where(ct > -500.0, 4.0, 0.0))
    return np.asarray(ct + fine * texture_hu * rng.uniform(0.3, 1.2), np.float32), grid.pixel_mm
