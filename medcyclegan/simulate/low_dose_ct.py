"""Low-dose CT: projections, counted photons, reconstruction; whole volumes and single slices.

Parallel-beam projections of square images, and their reconstruction by filtered back-projection.
Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3; rays are sampled
after Joseph, IEEE Trans. Med. Imaging 1982, 1:192. Each view is a sparse matrix that acts on all
slices at once.

Full-dose and low-dose CT of one subject: counted photons on projections of its attenuation.
A ray that loses exp(-p) of its photons is counted as Poisson(dose I0 exp(-p)), to which electronic
noise of a fixed spread is added; the line integral is minus the logarithm of the counts (Buzug,
Computed Tomography, 2008, chapters 2 and 8; Yu et al., J. Comput. Assist. Tomogr. 2012, 36:477,
who add to a measured scan what noise a lower dose would have added).

Slices of CT with noise of a random low dose, beside the same without noise.
Filtered back-projection is too slow for every step of a training, so slices are made once. They
are of heads from label maps and of phantom heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_array

from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.acquisition import ct_image, ct_table, smooth_noise
from medcyclegan.simulate.head_pairs import HeadGrid, Pair, refuse_unknown, sample_head, streams
from medcyclegan.simulate.label_heads.anatomy import draw_tissue, middle_voxel
from medcyclegan.simulate.label_heads.heads import geometry_of
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import render_ct
from medcyclegan.simulate.slab_grid import Rng, SlabGrid

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


Voxels = NDArray[np.float32]
Detector = Callable[[Voxels], Voxels]

# Attenuation of water at 70 keV, about the mean energy of a filtered beam of 120 kVp (NIST XCOM).
WATER_PER_MM = 0.0193
# Slices are centred this far above the middle of the head: on the brain.
BRAIN_HEIGHT_MM = 35.0
# A ray that no photon got through is taken for this many counts: its logarithm must exist.
_LEAST_COUNTS = 1.0
_LEAST_HU = -1024.0


@dataclass(frozen=True)
class Exposure:
    """How a scan is made.

    Parameters
    ----------
    photons:
        Incident photons of one ray at full dose.
    dose:
        The low dose as a share of the full one, above 0 and at most 1.
    electronic_sd:
        Standard deviation of the electronic noise, in counts, at any dose.
    views:
        Projections over 180 degrees.
    kernel:
        Window of the reconstruction filter.
    """

    photons: float = 2.5e5
    dose: float = 0.25
    electronic_sd: float = 10.0
    views: int = 360
    kernel: str = "hann"

    def __post_init__(self) -> None:
        if not 0.0 < self.dose <= 1.0:
            raise UsageError(f"Dose {self.dose}", rule="it is a share above 0 and at most 1")
        if self.photons < 1.0 or self.electronic_sd < 0.0:
            raise UsageError(
                f"{self.photons:g} photons, electronic noise {self.electronic_sd:g}",
                rule="at least 1 photon and no negative noise",
            )
        refuse_unknown("Kernel", self.kernel, KERNELS)


@dataclass(frozen=True)
class LowDoseHeads:
    """Low-dose (a) and full-dose (b) CT of phantom heads, in HU."""

    grid: HeadGrid
    exposure: Exposure

    def __post_init__(self) -> None:
        if self.grid.spacing_mm[0] != self.grid.spacing_mm[1]:
            raise UsageError(
                f"Spacing {self.grid.spacing_mm} mm", rule="pixels of a projected slice are square"
            )

    def pair(self, seed: int, subject: int) -> Pair:
        """Return the two scans of a subject: the same anatomy, different photons."""
        anatomy_rng, pose_rng, ct_rng, low_rng, full_rng = streams(seed, subject, 5)
        geometry = self.grid.posed(pose_rng)
        mean, texture = sample_head(geometry, [ct_table(ct_rng)], anatomy_rng).means
        exact = ct_image(mean, texture, geometry=geometry, noise_hu=0.0, rng=ct_rng)
        low, full = scan_twice(
            exact, self.grid.spacing_mm[0], self.exposure, rngs=(low_rng, full_rng)
        )
        return Pair(Volume(low, geometry, "HU"), Volume(full, geometry, "HU"))


def scan_twice(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, rngs: tuple[Rng, Rng]
) -> tuple[Voxels, Voxels]:
    """Return the low-dose and the full-dose scan of slices (i, j, k) in HU, with their own noise.

    Slices that are not square are given air around them for the time of the projection.
    """
    doses = zip((exposure.dose, 1.0), rngs, strict=True)
    low, full = _scans(
        hu, pixel_mm, exposure, detectors=[_detector(exposure, dose, rng) for dose, rng in doses]
    )
    return low, full


def scan_and_limit(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, rng: Rng
) -> tuple[Voxels, Voxels]:
    """Return the low-dose scan of slices (i, j, k) in HU, and what endless photons would give.

    The limit has the sharpness of the scan and no noise: the mean that a denoiser is to find.
    """
    detectors = [_detector(exposure, exposure.dose, rng), lambda line_integrals: line_integrals]
    low, limit = _scans(hu, pixel_mm, exposure, detectors=detectors)
    return low, limit


def _detector(exposure: Exposure, dose: float, rng: Rng) -> Detector:
    return partial(
        count_photons,
        photons=dose * exposure.photons,
        electronic_sd=exposure.electronic_sd,
        rng=rng,
    )


def _scans(
    hu: Voxels, pixel_mm: float, exposure: Exposure, *, detectors: Sequence[Detector]
) -> list[Voxels]:
    """Project slices (i, j, k) in HU once, and reconstruct what each detector measures."""
    square, inner = _squared(np.maximum(hu, np.float32(-1000.0)))
    beam = ParallelBeam(square.shape[0], pixel_mm, exposure.views)
    line_integrals = beam.project(to_attenuation(square))
    scans = []
    for detect in detectors:
        image = to_hu(beam.reconstruct(detect(line_integrals), kernel=exposure.kernel))
        scans.append(np.maximum(image[inner], np.float32(_LEAST_HU)))
    return scans


def count_photons(
    line_integrals: Voxels, *, photons: float, electronic_sd: float, rng: Rng
) -> Voxels:
    """Return line integrals as a detector would measure them, of the same shape."""
    counts = rng.poisson(photons * np.exp(-line_integrals.astype(np.float64)))
    noise = electronic_sd * rng.standard_normal(line_integrals.shape, dtype=np.float32)
    measured = np.maximum(counts + noise, _LEAST_COUNTS)
    return np.asarray(np.log(photons) - np.log(measured), dtype=np.float32)


def to_attenuation(hu: Voxels) -> Voxels:
    """HU to attenuation per millimetre, any shape."""
    return np.asarray(WATER_PER_MM * (1.0 + hu / 1000.0), dtype=np.float32)


def to_hu(attenuation_per_mm: Voxels) -> Voxels:
    """Attenuation per millimetre to HU, any shape."""
    return np.asarray(1000.0 * (attenuation_per_mm / WATER_PER_MM - 1.0), dtype=np.float32)


def _squared(hu: Voxels) -> tuple[Voxels, tuple[slice, slice]]:
    """Slices (i, j, k) with air around them so that i = j, and where they lie in it."""
    side = max(hu.shape[:2])
    before = [(side - n) // 2 for n in hu.shape[:2]]
    after = [side - n - start for n, start in zip(hu.shape[:2], before, strict=True)]
    widths = [*zip(before, after, strict=True), (0, 0)]
    inner = tuple(slice(start, start + n) for start, n in zip(before, hu.shape[:2], strict=True))
    return np.pad(hu, widths, constant_values=-1000.0), (inner[0], inner[1])


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
