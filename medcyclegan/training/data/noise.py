"""The noise that one side has beyond the other, measured without pairs, and drawn anew.

Where two sides differ in noise and in nothing else, as low and full dose do, the mean power of
small patches differs by that of the noise: anatomy is the same in the mean. A patch of the cleaner
side with such noise added, and the patch itself, are then a pair to learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Patches = NDArray[np.float32]
Draw = Callable[[], Patches]

# Edge of the patches, how many are drawn, and the share that is kept: those that vary least, which
# hold the fewest edges of organs.
PATCH_PX, PATCHES, FLAT_SHARE = 32, 2000, 0.5
# Below this frequency, in cycles per pixel, anatomy outweighs noise; there the power is that above.
_LEAST_FREQUENCY = 0.06
# Noise is stronger in the middle of a body than at its rim: the natural logarithm of a slab's
# amplitude has this spread.
_AMPLITUDE_SPREAD = 0.3
# The median of an exponential distribution, as the power of noise has it, as a share of the mean.
_MEDIAN_SHARE = np.log(2.0)
_FREQUENCIES = np.arange(0.0, 0.72, 0.02)


@dataclass(frozen=True, eq=False)
class NoiseSpectrum:
    """Power of the noise at ``_FREQUENCIES`` (cycles per pixel), the same in all directions.

    Its mean over all frequencies of the plane is the variance, in normalised units squared. The
    noise of neighbouring slices counts as independent.
    """

    power: NDArray[np.float64]

    def draw(self, depth: int, size_px: int, rng: np.random.Generator) -> Patches:
        """Noise of a slab, (depth, P, P) float32 in normalised units."""
        rows = np.fft.fftfreq(size_px)[:, None]
        columns = np.fft.rfftfreq(size_px)[None]
        gain = np.sqrt(np.interp(np.hypot(rows, columns), _FREQUENCIES, self.power))
        white = rng.standard_normal((depth, size_px, size_px), dtype=np.float32)
        noise = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(size_px, size_px))
        amplitude = np.exp(_AMPLITUDE_SPREAD * rng.standard_normal())
        return np.asarray(noise * amplitude, dtype=np.float32)


def excess_noise(noisy: Draw, clean: Draw) -> NoiseSpectrum:
    """Measure the noise that patches of one side have beyond those of the other.

    ``noisy`` and ``clean`` each draw one patch (``PATCH_PX``, ``PATCH_PX``), normalised alike, from
    inside the body. Where the first side has no more power than the other, the excess is 0.
    """
    excess = np.maximum(_power(noisy) - _power(clean), 0.0)
    rows = np.fft.fftfreq(PATCH_PX)
    radius = np.hypot(rows[:, None], rows[None])
    rings = [
        np.abs(radius - at) <= 1.0 / PATCH_PX for at in np.maximum(_FREQUENCIES, _LEAST_FREQUENCY)
    ]
    return NoiseSpectrum(np.array([excess[ring].mean() for ring in rings]))


def _power(draw: Draw) -> NDArray[np.float64]:
    """The power spectrum (``PATCH_PX``, ``PATCH_PX``) of flat patches; its mean is a variance."""
    patches = np.stack([draw() for _ in range(PATCHES)]).astype(np.float64)
    variances = patches.var(axis=(1, 2))
    flat = patches[np.argsort(variances, kind="stable")[: int(FLAT_SHARE * PATCHES)]]
    hann = np.hanning(PATCH_PX + 1)[:PATCH_PX]
    window = np.outer(hann, hann)
    window /= np.sqrt(np.square(window).mean())
    centred = flat - flat.mean(axis=(1, 2), keepdims=True)
    powers = np.square(np.abs(np.fft.fft2(centred * window))) / PATCH_PX**2
    # the median passes over the few patches that do have an edge
    return np.asarray(np.median(powers, axis=0) / _MEDIAN_SHARE)
