"""Similarity of two images: PSNR, and SSIM over a mask, in 3D, of planes and of many scales.

SSIM and MS-SSIM in 3D are as SynthRAD evaluates them. Both take the mean over voxels of the mask
that are at least 3 voxels away from the border of the grid. Windows are uniform, 7 x 7 x 7, with
sample covariance. The moments are summed plane by plane, so that everything stays in the cache:
float32 within a plane, for speed, float64 from plane to plane, where running sums would drift. A
variance is a small difference of large squares, so the values are counted from ``ORIGIN`` of the
data range, near soft tissue, before they are squared; the scores agree with a float64 computation
to better than 1e-6.

Sources: Wang et al. 2004 (SSIM), Wang et al. 2003 (MS-SSIM), and the evaluation code of the
SynthRAD 2023 and 2025 challenges, where the two leave a choice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from medcyclegan.core.geometry import FloatArray

AnyFloat = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
Float32 = NDArray[np.float32]

WINDOW = 7
MARGIN = WINDOW // 2
SAMPLE_COVARIANCE = WINDOW**3 / (WINDOW**3 - 1.0)
K1, K2 = 0.01, 0.03

# 0 HU in [-1024, 3000] and [-1024, 3071] HU.
ORIGIN = 0.25

LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# After four halvings, 97 voxels are 7: one window.
LEAST_SIZE = (WINDOW - 1) * 2 ** (len(LEVEL_WEIGHTS) - 1) + 1


def psnr_db(pred: AnyFloat, ref: AnyFloat, *, data_range: float) -> float:
    """Peak signal to noise ratio of paired values in dB; infinite for equal ones.

    ``data_range`` is the width of the range that the values may span, in their unit.
    """
    mean_square = float(np.square(pred.astype(np.float64) - ref).mean())
    if mean_square == 0.0:
        return float("inf")
    return float(10.0 * np.log10(data_range**2 / mean_square))


def plane_ssim(
    pred: AnyFloat, ref: AnyFloat, mask: BoolArray, *, data_range: float, margin_px: int = 0
) -> float:
    """Mean SSIM of planes (n, rows, columns) inside the mask; windows of 7 x 7 pixels.

    Pixels less than ``margin_px`` from a plane's border do not count: with 3 of them (``MARGIN``)
    every window lies within the plane, else the plane is mirrored beyond its border. NaN if no
    pixel counts or planes are smaller than a window.
    """
    inner = tuple(slice(margin_px, size - margin_px) for size in mask.shape[1:])
    total, count = 0.0, 0
    for one, other, here in zip(pred, ref, mask[:, *inner], strict=True):
        if min(one.shape) < WINDOW or not here.any():
            continue
        _, similar = structural_similarity(
            one, other, win_size=WINDOW, data_range=data_range, K1=K1, K2=K2, full=True
        )
        total += float(similar[inner][here].sum(dtype=np.float64))
        count += int(here.sum())
    return total / count if count else float("nan")


def ssim(pred: AnyFloat, ref: AnyFloat, mask: BoolArray, *, data_range: float) -> float:
    """Mean SSIM inside the mask.

    Parameters
    ----------
    pred, ref:
        (i, j, k), not negative, at most ``data_range``, constant outside the mask.
    mask:
        (i, j, k), where the map is averaged.

    Returns
    -------
    A number up to 1; NaN if no voxel of the mask is 3 voxels from the border.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    total = 0.0
    for inside, (m_x, m_y, v_x, v_y, v_xy) in _windows(pred, ref, mask, data_range):
        product = m_x * m_y
        luminance = (2.0 * product + c1) / (m_x * m_x + m_y * m_y + c1)
        score = luminance * (2.0 * v_xy + c2) / (v_x + v_y + c2)
        total += float(score[inside].sum(dtype=np.float64))
    return _mean(total, mask)


def ms_ssim(pred: AnyFloat, ref: AnyFloat, mask: BoolArray, *, data_range: float) -> float:
    """Multi-scale SSIM inside the mask, as SynthRAD 2025 computes it.

    Luminance counts at each of the five levels, with the level's weight; Wang et al. 2003 count it
    at the coarsest alone. Parameters and result are those of ``ssim``, the result at least 0.
    """
    widths = [_padding(n) for n in ref.shape]
    x, y = np.pad(pred, widths, mode="edge"), np.pad(ref, widths, mode="edge")
    inside = np.pad(mask, widths, mode="edge")
    product = 1.0
    for weight in LEVEL_WEIGHTS:
        level = _level_similarity(x, y, inside, data_range, weight)
        product *= float(np.clip(level, 0.0, 1.0))
        x, y, inside = _halved(x), _halved(y), inside[::2, ::2, ::2]
    return product


def _level_similarity(
    x: AnyFloat, y: AnyFloat, mask: BoolArray, data_range: float, weight: float
) -> float:
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    c3 = c2 / 2.0
    total = 0.0
    for inside, moments in _windows(x, y, mask, data_range):
        m_x, m_y, v_x, v_y, v_xy = (m[inside].astype(np.float64) for m in moments)
        deviations = np.sqrt(np.maximum(v_x, 0.0) * np.maximum(v_y, 0.0))
        luminance = (2.0 * m_x * m_y + c1) / (m_x * m_x + m_y * m_y + c1)
        contrast = (2.0 * deviations + c2) / (v_x + v_y + c2)
        structure = (v_xy + c3) / (deviations + c3)
        base = luminance * contrast * np.maximum(structure, 0.0)
        total += float((base**weight).sum())
    return _mean(total, mask)


def _mean(total: float, mask: BoolArray) -> float:
    count = int(_without_margin(mask).sum())
    return total / count if count else float("nan")


def _without_margin(mask: BoolArray) -> BoolArray:
    return mask[MARGIN:-MARGIN, MARGIN:-MARGIN, MARGIN:-MARGIN]


def _windows(
    x: AnyFloat, y: AnyFloat, mask: BoolArray, data_range: float
) -> Iterator[tuple[BoolArray, Float32]]:
    """Yield for each plane i the mask (j, k) and means, variances and covariance (5, j, k).

    Margins are cut off, and planes and borders that the mask does not reach are left out.
    """
    valid = _without_margin(mask)
    if not valid.any():
        return
    i, j, k = (_extent(valid, axis) for axis in range(3))
    inside = valid[i, j, k]
    grown = tuple(slice(s.start, s.stop + 2 * MARGIN) for s in (i, j, k))
    x, y = x[grown], y[grown]
    origin = ORIGIN * data_range
    sums = _PlaneSums(x.shape[1], x.shape[2])
    recent = np.zeros((WINDOW, 5, *inside.shape[1:]), dtype=np.float32)
    total = np.zeros((5, *inside.shape[1:]))
    for plane in range(x.shape[0]):
        newest = recent[plane % WINDOW]
        total -= newest
        sums.write(x[plane] - origin, y[plane] - origin, out=newest)
        total += newest
        if plane >= WINDOW - 1:
            yield inside[plane - WINDOW + 1], _moments(total, origin)


def _moments(total: FloatArray, origin: float) -> Float32:
    """Turn sums of x, y, xx, yy, xy (5, j, k) into means, variances and covariance."""
    means = (total * (1.0 / WINDOW**3)).astype(np.float32)
    m_x, m_y, v_x, v_y, v_xy = means
    v_x -= m_x * m_x
    v_y -= m_y * m_y
    v_xy -= m_x * m_y
    means[2:] *= SAMPLE_COVARIANCE
    means[:2] += origin
    return means


def _extent(mask: BoolArray, axis: int) -> slice:
    others = tuple(a for a in range(3) if a != axis)
    found = np.flatnonzero(mask.any(axis=others))
    return slice(int(found[0]), int(found[-1]) + 1)


class _PlaneSums:
    """Sums over 7 x 7 neighbours in a plane, of x, y, xx, yy and xy.

    The buffers are kept: allocating them for every plane takes longer than the sums.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._products = np.empty((5, rows, columns), dtype=np.float32)
        self._two_rows = np.empty((5, rows - 1, columns), dtype=np.float32)
        self._rows = np.empty((5, rows - 6, columns), dtype=np.float32)
        self._two_columns = np.empty((5, rows - 6, columns - 1), dtype=np.float32)

    def write(self, x: AnyFloat, y: AnyFloat, *, out: Float32) -> None:
        """Write the sums over planes (j, k) into ``out`` (5, j - 6, k - 6)."""
        p = self._products
        p[0], p[1] = x, y
        np.multiply(p[0], p[0], out=p[2])
        np.multiply(p[1], p[1], out=p[3])
        np.multiply(p[0], p[1], out=p[4])
        # Seven neighbours in four additions: 7 = 2 + 2 + 2 + 1.
        twos = np.add(p[:, :-1], p[:, 1:], out=self._two_rows)
        rows = np.add(twos[:, :-5], twos[:, 2:-3], out=self._rows)
        rows += twos[:, 4:-1]
        rows += p[:, 6:]
        twos = np.add(rows[..., :-1], rows[..., 1:], out=self._two_columns)
        np.add(twos[..., :-5], twos[..., 2:-3], out=out)
        out += twos[..., 4:-1]
        out += rows[..., 6:]


def _padding(size: int) -> tuple[int, int]:
    missing = max(0, LEAST_SIZE - size)
    return missing // 2, missing - missing // 2


def _halved(values: AnyFloat) -> AnyFloat:
    """Average each even voxel with the one before it, along every axis.

    That is what a 2 x 2 x 2 box, convolved in mode 'same', leaves at every second voxel; before
    the first voxel, the convolution sees zeros.
    """
    for axis in range(3):
        moved = np.moveaxis(values, axis, 0)
        even = 0.5 * moved[::2]
        even[1:] += 0.5 * moved[1:-1:2]
        values = np.moveaxis(even, 0, axis)
    return values
