"""Data set of slabs for torch's loader, with augmentation and added noise.

The noise that one side has beyond the other, measured without pairs, and drawn anew.
Where two sides differ in noise and in nothing else, as low and full dose do, the mean power of
small patches differs by that of the noise: anatomy is the same in the mean. A patch of the cleaner
side with such noise added, and the patch itself, are then a pair to learn from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import RandAdjustContrast, RandAffine, RandBiasField
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.imaging.resampling import SAGITTAL
from medcyclegan.training.data.case import Case, Chooser, Place, cut, draw_place, same_place
from medcyclegan.training.data.config import Augment, DataConfig, Side
from medcyclegan.training.data.types import Sample

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


_SEEDS = 2**32


class Augmenter:
    """Turns, scales and shifts slabs in plane, and changes the contrast of MR slabs.

    Slabs are (channels, Q, Q) in [-1, 1]; slices are MONAI's channels, so all are changed alike.
    """

    def __init__(self, augment: Augment, *, size_px: int) -> None:
        self.size_px = size_px
        self.moves = bool(augment.turn_deg or augment.scale or augment.shift_px)
        self.augment = augment
        self.affine = RandAffine(
            prob=1.0,
            rotate_range=math.radians(augment.turn_deg),
            scale_range=(augment.scale, augment.scale),
            translate_range=(augment.shift_px, augment.shift_px),
            spatial_size=(size_px, size_px),  # of what comes out, around the middle
            cache_grid=True,
            mode="bilinear",
            padding_mode="zeros",
        )
        limits = math.exp(-augment.gamma), math.exp(augment.gamma)
        self.contrast = RandAdjustContrast(prob=1.0, gamma=limits)
        self.shading = RandBiasField(prob=1.0, degree=2, coeff_range=(-augment.bias, augment.bias))

    @property
    def wide_px(self) -> int:
        """Edge Q of what must be cut for a patch, so that its corners show the image too."""
        if not self.moves:
            return self.size_px
        angle = math.radians(min(self.augment.turn_deg, 45.0))
        corner = (math.cos(angle) + math.sin(angle)) * (1.0 + self.augment.scale)
        return self.size_px + 2 * math.ceil(
            self.size_px * (corner - 1.0) / 2.0 + self.augment.shift_px
        )

    def move(self, slab: Tensor, rng: np.random.Generator) -> Tensor:
        """(channels, Q, Q) -> (channels, P, P), turned, scaled and shifted; outside lies -1."""
        if not self.moves:
            return slab
        self.affine.set_random_state(seed=int(rng.integers(_SEEDS)))
        # MONAI fills with 0, which is to mean the lowest value
        moved = plain(self.affine(slab + 1.0))
        return (moved - 1.0).clamp(-1.0, 1.0)

    def change_contrast(self, slab: Tensor, rng: np.random.Generator) -> Tensor:
        """Change gamma and shading of an MR slab (channels, P, P); what is -1 stays -1."""
        seeds = rng.integers(_SEEDS, size=2)
        lifted = (slab + 1.0) / 2.0
        if self.augment.gamma:
            self.contrast.set_random_state(seed=int(seeds[0]))
            lifted = plain(self.contrast(lifted))
        if self.augment.bias:
            self.shading.set_random_state(seed=int(seeds[1]))
            lifted = plain(self.shading(lifted))
        return lifted.clamp(0.0, 1.0) * 2.0 - 1.0


def plain(tensor: Tensor) -> Tensor:
    """Without MONAI's record of what was done, which costs time with every further step."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor


class FolderSlabs(Dataset[Sample]):
    """Endless: item n depends on the seed and n alone, in whatever process it is made.

    An item is a slab (depth, P, P) in [-1, 1] of each side, (C, depth, P, P) of one with several
    channels. ``pairs`` hold both sides; where one is
    drawn, both slabs are of the same place and changed alike. Else the slab of B comes from any
    case of B, or with ``position_matched`` from the same place in the body of another volume,
    brought to the size of the first and changed like it.

    With ``matched_noise`` that share of the items are pairs made from B alone: a slab of it with
    the noise that A has beyond B, and the slab itself.
    """

    def __init__(
        self,
        a: Sequence[Case],
        b: Sequence[Case],
        pairs: Sequence[Case],
        *,
        config: DataConfig,
        seed: int,
    ) -> None:
        self.side_a = Chooser([*a, *pairs])
        self.side_b = Chooser([*b, *pairs])
        self.config = config
        self.seed = seed
        self.channels_b = max(1, len(config.b.channels))
        self.augmenter = Augmenter(config.augment, size_px=config.size_px)
        self.noise = self._measured_noise() if config.matched_noise else None

    def __getitem__(self, index: int) -> Sample:
        rng, depth = np.random.default_rng((self.seed, index)), self.config.depth
        if self.noise is not None and rng.random() < self.config.matched_noise:
            return self._pair_by_noise(self.noise, rng)
        case, slice_index = self.side_a.any_slice(rng)
        place = self._place(case, slice_index, rng)
        other = None if case.meta.paired else self._matched(case, slice_index, rng)
        depth_b = depth * self.channels_b
        if case.meta.paired:
            both = self._changed(self._cut(case, place), case.meta.normal, rng)
            a, b = both[:-depth_b], both[-depth_b:]
        elif other is not None:
            there = same_place(case, place, *other)
            both = torch.cat([self._cut(case, place), self._cut(other[0], there)[-depth_b:]])
            both = self._changed(both, case.meta.normal, rng)
            a, b = both[:-depth_b], both[-depth_b:]
        else:
            a = self._changed(self._cut(case, place), case.meta.normal, rng)
            b = self._any_slab(self.side_b, rng)[-depth_b:]
        return Sample(
            self._contrast("a", a, rng),
            self._contrast("b", b, rng),
            torch.tensor(case.meta.paired),
            torch.tensor(other is not None),
        )

    def _matched(
        self, case: Case, slice_index: int, rng: np.random.Generator
    ) -> tuple[Case, int] | None:
        """A case of B and its slice that show about the same, or None.

        Where there is none, or it is not asked for.
        """
        if not self.config.position_matched:
            return None
        if case.meta.plane:
            return self.side_b.picture_like(case, rng)
        return self.side_b.slice_at(case.relative_height(slice_index), case.meta.normal, rng)

    def _any_slab(self, side: Chooser, rng: np.random.Generator) -> Tensor:
        """(channels * depth, P, P), of a pair with those of both sides, from anywhere."""
        case, slice_index = side.any_slice(rng)
        slab = self._cut(case, self._place(case, slice_index, rng))
        return self._changed(slab, case.meta.normal, rng)

    def _place(self, case: Case, slice_index: int, rng: np.random.Generator) -> Place:
        return draw_place(case, slice_index, rng, size_px=self.config.size_px)

    def _cut(self, case: Case, place: Place) -> Tensor:
        """(channels * depth, Q, Q), with what a patch needs around it to be turned."""
        return cut(case, place, depth=self.config.depth, size_px=self.augmenter.wide_px)

    def _changed(self, wide: Tensor, normal: int, rng: np.random.Generator) -> Tensor:
        """(channels, Q, Q) -> (channels, P, P); moved, and mirrored or not, all alike."""
        slab = self.augmenter.move(wide, rng)
        if rng.random() < self.config.augment.flip:
            slab = _mirrored(slab, self.config.depth, normal)
        return slab.contiguous()

    def _pair_by_noise(self, noise: NoiseSpectrum, rng: np.random.Generator) -> Sample:
        config = self.config
        clean = self._any_slab(self.side_b, rng)[-config.depth :]
        added = torch.from_numpy(noise.draw(config.depth, config.size_px, rng))
        return Sample((clean + added).clamp(-1.0, 1.0), clean, torch.tensor(True))

    def _measured_noise(self) -> NoiseSpectrum:
        """What A has beyond B, from slices as they are read."""
        rng = np.random.default_rng(self.seed)

        def patch(side: Chooser, channel: int) -> NDArray[np.float32]:
            case, slice_index = side.any_slice(rng)
            place = draw_place(case, slice_index, rng, size_px=PATCH_PX)
            return cut(case, place, depth=1, size_px=PATCH_PX)[channel].numpy()

        return excess_noise(lambda: patch(self.side_a, 0), lambda: patch(self.side_b, -1))

    def _contrast(self, side: Side, slab: Tensor, rng: np.random.Generator) -> Tensor:
        """(channels * depth, P, P) -> a slab as an item has it, of MR with another contrast."""
        domain, depth = self.config.domain(side), self.config.depth
        channels = list(slab.split(depth))
        if domain.modality == "MR" and side in self.config.augment.intensity:
            channels = [self.augmenter.change_contrast(one, rng) for one in channels]
        return torch.stack(channels) if len(channels) > 1 else channels[0].contiguous()


def _mirrored(slab: Tensor, depth: int, normal: int) -> Tensor:
    """Left to right: rows run to the right, but for sagittal slabs, whose slices do."""
    if normal != SAGITTAL:
        return slab.flip(1)
    by_side = slab.reshape(-1, depth, *slab.shape[1:])
    return by_side.flip(1).flatten(0, 1)
