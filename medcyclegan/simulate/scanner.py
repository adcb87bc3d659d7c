"""What a scanner makes of the signal in its slices: coil, k-space, faults and noise.

All work on slices (D, H, W), of a magnitude or, where fat and water are out of phase, complex.
Each fault is drawn with its own odds; strengths are those that clinical heads show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.slab_grid import Field, Rng, SlabGrid, cells_for, smooth_field

Image = NDArray[np.float32] | NDArray[np.complex64]

# Coils: smooth shading of exp(+-0.35) over 60 to 180 mm; at times a centre that is up to 60 %
# darker than the surface (arrays of small coils; dielectric effects at 3 T and more), and an edge
# of the coil beyond which the signal falls to a tenth over some centimetres, as along a neck.
_SHADING, _SHADING_MM = (0.0, 0.35), (60.0, 180.0)
_CENTRE_SHARE, _CENTRE_LOSS, _CENTRE_MM = 0.3, (0.1, 0.6), (35.0, 80.0)
_EDGE_SHARE, _EDGE_LEFT, _EDGE_WIDTH_MM = 0.08, (0.1, 0.6), (10.0, 40.0)
# A head coil ends some 150 to 240 mm below the vertex, at the skull base or in the neck.
_NECK_SHARE, _COIL_END_MM = 0.5, (140.0, 240.0)
# Sampled k-space as a share of what the pixels could hold, and a window on it: 1 none, .54
# Hamming's (Bernstein, chapters 1.4 and 13.1).
_TRUNCATED_SHARE, _K_SPACE, _WINDOW = 0.3, (0.5, 0.95), (0.54, 1.0)
_BLUR_PX, _BLUR_ALONG_SHARE, _BLUR_ALONG_PX = (0.4, 1.0), 0.2, (0.0, 0.8)
_KERNEL_REACH_PX = 16
# Air in the head unevens the field around it over some millimetres (Olafsson et al., MRM 2008,
# 59:1021, for the head's sinuses); the loss is exp(-dephasing x nearness to air).
_AIR_REACH_MM = 5.0
_WRAP_SHARE, _WRAP_OF_VIEW, _WRAP_GAIN = 0.04, (0.05, 0.2), (0.1, 0.7)
_GHOST_SHARE, _GHOST_GAIN, _GAIN_SHARE, _GAIN_SD = 0.1, (0.01, 0.06), 0.2, 0.05
# Noise in each part of the complex signal as a share of the brightest tissue, evenly in its
# logarithm; and how often a scanner takes the floor that it leaves in magnitudes away, up to 1.5
# of the mean of pure noise (sqrt(pi / 2) standard deviations; Gudbjartsson and Patz, MRM 1995,
# 34:910), so that dark tissue and air are black.
_NOISE = (0.001, 0.05)
_FLOOR_SHARE, _FLOOR = 0.3, (0.5, 1.5)


def receive(mr: Image, grid: SlabGrid, rng: Rng, below_vertex_mm: Field | None = None) -> Image:
    """Return the slices as a coil receives them: brighter near to it, falling off at its edge.

    ``below_vertex_mm`` (D, H, W), if known, lets the signal fall along the neck.
    """
    shape = (grid.depth, grid.size_px, grid.size_px)
    spacing_mm = (grid.slice_spacing_mm, grid.pixel_mm, grid.pixel_mm)
    cells = cells_for(shape, spacing_mm, rng.uniform(*_SHADING_MM))
    gain = np.exp(np.float32(rng.uniform(*_SHADING)) * smooth_field(rng, shape, cells))
    if rng.random() < _CENTRE_SHARE:
        gain *= dark_centre(grid, rng)
    if rng.random() < _EDGE_SHARE:
        gain *= coil_edge(grid, rng)
    if below_vertex_mm is not None and rng.random() < _NECK_SHARE:
        gain *= _fall_off(below_vertex_mm - rng.uniform(*_COIL_END_MM), rng)
    return np.asarray(mr * gain)


def dark_centre(grid: SlabGrid, rng: Rng) -> Field:
    """A coil's gain (D, H, W): 1 far from a point, there less by ``_CENTRE_LOSS``."""
    sd_mm = rng.uniform(*_CENTRE_MM)
    d, h, w = (_bell(mm - float(rng.uniform(-50.0, 50.0)), sd_mm) for mm in _axes_mm(grid))
    near = d[:, None, None] * h[:, None] * w
    return np.asarray(1.0 - rng.uniform(*_CENTRE_LOSS) * near, dtype=np.float32)


def _bell(mm: NDArray[np.float64], sd_mm: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * (mm / sd_mm) ** 2), dtype=np.float64)


def coil_edge(grid: SlabGrid, rng: Rng) -> Field:
    """A coil's gain (D, H, W): 1 on one side of a plane, falling smoothly beyond it."""
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    d, h, w = (mm * part for mm, part in zip(_axes_mm(grid), direction, strict=True))
    return _fall_off(d[:, None, None] + h[:, None] + w - rng.uniform(-60.0, 60.0), rng)


def _fall_off(beyond_mm: NDArray[np.floating], rng: Rng) -> Field:
    """A gain that is 1 within the coil, where the distance beyond its edge is negative."""
    steps = np.clip(beyond_mm / rng.uniform(*_EDGE_WIDTH_MM), -30.0, 30.0)
    left = rng.uniform(*_EDGE_LEFT)
    return np.asarray(left + (1.0 - left) / (1.0 + np.exp(steps)), dtype=np.float32)


def _axes_mm(grid: SlabGrid) -> tuple[NDArray[np.float64], ...]:
    """Where slices, rows and columns lie, from the slab's middle."""
    counts = (grid.depth, grid.size_px, grid.size_px)
    steps = (grid.slice_spacing_mm, grid.pixel_mm, grid.pixel_mm)
    return tuple(
        np.asarray((np.arange(n) - (n - 1) / 2.0) * mm, dtype=np.float64)
        for n, mm in zip(counts, steps, strict=True)
    )


def lose_beside_air(mr: Image, air: Field, grid: SlabGrid, dephasing: float) -> Image:
    """Return what gradient echoes keep beside air in the head.

    ``air`` (D, H, W) is the share of air in each voxel. Air that reaches the slab's border is
    that around the head, which lies along the skin and unevens the field little.
    """
    coarse = air[:, ::2, ::2]
    cavities, count = ndimage.label(coarse > 0.5)
    if count == 0:
        return mr
    inner = np.ones(count + 1, dtype=np.float32)
    for rim in (cavities[:, 0], cavities[:, -1], cavities[:, :, 0], cavities[:, :, -1]):
        inner[rim.ravel()] = 0.0
    inner[0] = 0.0
    sigma = [_AIR_REACH_MM / mm for mm in (grid.slice_spacing_mm, *[2.0 * grid.pixel_mm] * 2)]
    nearness = ndimage.gaussian_filter(inner[cavities], sigma, truncate=2.5)
    kept = np.exp(np.float32(-4.0 * dephasing) * nearness)
    kept = kept.repeat(2, axis=1).repeat(2, axis=2)
    return np.asarray(mr * kept[:, : mr.shape[1], : mr.shape[2]])


def sample_k_space(mr: Image, rng: Rng) -> Image:
    """Return the slices as sharp as they are sampled, at times with the ringing of a sharp cut."""
    if rng.random() < _TRUNCATED_SHARE:
        window = rng.uniform(*_WINDOW)
        rows, columns = (truncation_kernel(rng.uniform(*_K_SPACE), window) for _ in range(2))
    else:
        sigma = rng.uniform(*_BLUR_PX) + (rng.random(2) < _BLUR_ALONG_SHARE) * rng.uniform(
            *_BLUR_ALONG_PX
        )
        rows, columns = (_gaussian_kernel(px) for px in sigma)
    return filter_plane(mr, rows, columns)


def truncation_kernel(share: float, window: float) -> Field:
    """The point spread of k-space cut at ``share`` of what the pixels could hold, (taps,).

    ``window`` a weighs k-space by a + (1 - a) cos(pi k / cut); the sum of the kernel is 1.
    """
    x = share * np.arange(-_KERNEL_REACH_PX, _KERNEL_REACH_PX + 1)
    kernel = window * np.sinc(x) + (1.0 - window) / 2.0 * (np.sinc(x - 1.0) + np.sinc(x + 1.0))
    # the kernel's own end is tapered, or it would cut k-space's cut in turn
    kernel *= np.cos(np.linspace(-0.5, 0.5, x.size) * np.pi)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _gaussian_kernel(sigma_px: float) -> Field:
    x = np.arange(-_KERNEL_REACH_PX, _KERNEL_REACH_PX + 1)
    kernel = np.exp(-0.5 * (x / sigma_px) ** 2)
    kernel[kernel < 1e-6] = 0.0  # products with tinier numbers take ten times as long
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def filter_plane(mr: Image, rows: Field, columns: Field) -> Image:
    """Convolve slices (D, H, W) along H and W with kernels (taps,); beyond the edge is the edge."""
    along_rows = _convolution(rows, mr.shape[1]).astype(mr.dtype, copy=False)
    along_columns = _convolution(columns, mr.shape[2]).astype(mr.dtype, copy=False)
    return np.asarray(np.matmul(np.matmul(along_rows, mr), along_columns.T))


def _convolution(kernel: Field, n: int) -> Field:
    """(n, n) matrix of a convolution of n samples."""
    reach = kernel.size // 2
    source = np.clip(np.arange(n)[:, None] + np.arange(-reach, reach + 1), 0, n - 1)
    matrix = np.zeros((n, n), dtype=np.float32)
    np.add.at(matrix, (np.arange(n)[:, None], source), kernel)
    return matrix


def disturb(mr: Field, rng: Rng) -> Field:
    """Ghost, wrap-around and gain between slices at times, and Rician noise always."""
    if rng.random() < _GHOST_SHARE:
        shift = int(rng.integers(15, max(16, mr.shape[1] // 2)))
        mr = mr + rng.uniform(*_GHOST_GAIN) * np.roll(mr, shift, axis=int(rng.choice([1, 2])))
    if rng.random() < _WRAP_SHARE:
        mr = wrap_around(mr, rng)
    if rng.random() < _GAIN_SHARE:
        mr = mr * rng.normal(1.0, _GAIN_SD, (mr.shape[0], 1, 1)).astype(np.float32)
    return _add_noise(mr, float(np.exp(rng.uniform(*np.log(_NOISE)))), rng)


def _add_noise(mr: Field, sd: float, rng: Rng) -> Field:
    """The magnitude of a signal with complex noise, at times without the noise's floor."""
    real = mr + np.float32(sd) * rng.standard_normal(mr.shape, dtype=np.float32)
    imaginary = np.float32(sd) * rng.standard_normal(mr.shape, dtype=np.float32)
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    if rng.random() < _FLOOR_SHARE:
        floor = np.sqrt(np.pi / 2.0) * sd * rng.uniform(*_FLOOR)
        magnitude = np.maximum(magnitude - np.float32(floor), np.float32(0.0))
    return np.asarray(magnitude, dtype=np.float32)


def wrap_around(mr: Field, rng: Rng) -> Field:
    """Return slices (D, H, W) whose field of view is too small along H or W: what lies beyond one
    edge is added at the other, weaker, as it lies at the edge of the coil."""
    axis = int(rng.choice([1, 2]))
    pixels = max(1, round(rng.uniform(*_WRAP_OF_VIEW) * mr.shape[axis]))
    wrapped = np.moveaxis(mr.copy(), axis, 1)
    near, far = slice(None, pixels), slice(mr.shape[axis] - pixels, None)
    if rng.random() < 0.5:
        near, far = far, near
    wrapped[:, near] += np.float32(rng.uniform(*_WRAP_GAIN)) * wrapped[:, far]
    return np.ascontiguousarray(np.moveaxis(wrapped, 1, axis))
