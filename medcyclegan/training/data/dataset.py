"""The slabs of a training, drawn from prepared images, as a data set for torch's loader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.training.data.augment import Augmenter
from medcyclegan.training.data.case import Case
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.draw import Chooser, Place, cut, draw_place, same_place
from medcyclegan.training.data.noise import PATCH_PX, NoiseSpectrum, excess_noise
from medcyclegan.training.sample import Sample
from medcyclegan.transforms.grid import SAGITTAL


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
