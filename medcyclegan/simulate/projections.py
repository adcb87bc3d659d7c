"""Parallel-beam projections of square images, and their reconstruction by filtered back-projection.

Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3; rays are sampled
after Joseph, IEEE Trans. Med. Imaging 1982, 1:192. Each view is a sparse matrix that acts on all
slices at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_array

from medcyclegan.errors import UsageError

Images = NDArray[np.float32]
KERNELS = ("ram-lak", "shepp-logan", "hann")


@dataclass(frozen=True)
class ParallelBeam:
    """Views over 180 degrees of ``size_px`` squared pixels; detector bins are as wide as pixels."""

    size_px: int
    pixel_mm: float
    views: int

    def __post_init__(self) -> None:
        if self.size_px < 2 or self.pixel_mm <= 0.0 or self.views < 1:
            raise UsageError(
                f"{self.views} views of {self.size_px} pixels of {self.pixel_mm} mm",
                rule="at least 1 view of 2 pixels, and a width above 0, are needed",
            )

    @property
    def bins(self) -> int:
        """Bins of the detector: the diagonal of the image, and one more on each side."""
        return int(np.ceil(self.size_px * np.sqrt(2.0))) + 2

    def project(self, images: Images) -> Images:
        """Line integrals over millimetres: (size, size, slices) -> (views, bins, slices)."""
        pixels = images.reshape(self.size_px**2, -1)
        views = np.empty((self.views, self.bins, pixels.shape[1]), dtype=np.float32)
        for number, angle in self._angles():
            views[number] = self._rays(angle) @ pixels
        return views

    def reconstruct(self, line_integrals: Images, *, kernel: str) -> Images:
        """Filtered back-projection, per millimetre: (views, bins, slices) -> (size, size, slices).

        ``kernel`` is the window on the ramp: none (ram-lak), a sinc, or Hann's, which ends at the
        bins' Nyquist frequency and is the softest.
        """
        filtered = _filter(line_integrals, kernel) / np.float32(self.pixel_mm)
        slices = line_integrals.shape[2]
        pixels = np.zeros((self.size_px**2, slices), dtype=np.float32)
        for number, angle in self._angles():
            pixels += self._pixels(angle) @ filtered[number]
        pixels *= np.float32(np.pi / self.views)
        return pixels.reshape(self.size_px, self.size_px, slices)

    def _angles(self) -> Iterator[tuple[int, float]]:
        # half a step off the axes: no ray runs along the border between two rows of pixels
        return ((n, float(np.pi * (n + 0.5) / self.views)) for n in range(self.views))

    def _rays(self, angle: float) -> csr_array:
        """(bins, pixels): each ray steps along the axis it is closer to, linear in the other."""
        n, cos, sin = self.size_px, np.cos(angle), np.sin(angle)
        bins = np.arange(self.bins) - (self.bins - 1) / 2.0
        steps = np.arange(n) - (n - 1) / 2.0
        along_first = abs(sin) >= abs(cos)
        near, far = (cos, sin) if along_first else (sin, cos)
        crossing = (bins[:, None] - steps * near) / far + (n - 1) / 2.0
        below = np.floor(crossing).astype(np.int32)
        neighbours = np.stack([below, below + 1], axis=-1)
        share = np.stack([below + 1 - crossing, crossing - below], axis=-1)
        share = np.where((neighbours >= 0) & (neighbours < n), share, 0.0)
        neighbours = np.clip(neighbours, 0, n - 1)
        first = np.arange(n, dtype=np.int32)[:, None]
        index = first * n + neighbours if along_first else neighbours * n + first
        weights = (share * (self.pixel_mm / abs(far))).astype(np.float32)
        starts = np.arange(self.bins + 1, dtype=np.int32) * (2 * n)
        return csr_array((weights.ravel(), index.ravel(), starts), shape=(self.bins, n * n))

    def _pixels(self, angle: float) -> csr_array:
        """(pixels, bins): each pixel reads the detector where its ray meets it."""
        n = self.size_px
        centred = (np.arange(n) - (n - 1) / 2.0).astype(np.float32)
        position = centred[:, None] * np.float32(np.cos(angle)) + centred * np.float32(
            np.sin(angle)
        )
        position = position.ravel() + np.float32((self.bins - 1) / 2.0)
        below = position.astype(np.int32)  # positive: the detector is wider than the diagonal
        share = position - below
        weights = np.stack([1.0 - share, share], axis=-1)
        index = np.stack([below, below + 1], axis=-1)
        starts = np.arange(n * n + 1, dtype=np.int32) * 2
        return csr_array((weights.ravel(), index.ravel(), starts), shape=(n * n, self.bins))


def _filter(line_integrals: Images, kernel: str) -> Images:
    """Convolve each view (views, bins, slices) with the windowed ramp of bins of width 1."""
    bins = line_integrals.shape[1]
    length = fft.next_fast_len(2 * bins, real=True)
    frequency = np.asarray(np.fft.rfftfreq(length), dtype=np.float64)
    response = np.asarray(_ramp(length) * _window(frequency, kernel), dtype=np.float32)
    spectrum = fft.rfft(line_integrals, n=length, axis=1)
    spectrum *= response[:, None]
    return np.asarray(fft.irfft(spectrum, n=length, axis=1)[:, :bins], dtype=np.float32)


def _ramp(length: int) -> NDArray[np.float64]:
    """The ramp as the spectrum of its samples (Kak and Slaney, eq. 61): no offset at zero."""
    distance = np.minimum(np.arange(length), length - np.arange(length))
    odd = distance % 2 == 1
    samples = np.zeros(length)
    samples[odd] = -1.0 / (np.pi * distance[odd]) ** 2
    samples[0] = 0.25
    return np.asarray(np.fft.rfft(samples).real, dtype=np.float64)


def _window(frequency: NDArray[np.float64], kernel: str) -> NDArray[np.float64]:
    """By frequency in cycles per bin, at most 0.5."""
    if kernel == "ram-lak":
        return np.ones_like(frequency)
    if kernel == "shepp-logan":
        return np.sinc(frequency)
    if kernel == "hann":
        return np.asarray(np.cos(np.pi * frequency) ** 2)
    raise UsageError(f"Kernel {kernel!r}", rule=f"it must be one of {', '.join(KERNELS)}")
