"""The slabs of a training, drawn from prepared images, as a data set for torch's loader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.training.data.augment import Augmenter
from medcyclegan.training.data.case import Case
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.draw import Chooser, cut, draw_place
from medcyclegan.training.sample import Sample
from medcyclegan.transforms.grid import SAGITTAL


class FolderSlabs(Dataset[Sample]):
    """Endless: item n depends on the seed and n alone, in whatever process it is made.

    An item is a slab (depth, P, P) in [-1, 1] of each side. ``pairs`` hold both sides; where one is
    drawn, both slabs are of the same place and changed alike. Else the slab of B comes from any
    case of B, or with ``position_matched`` from the same relative height of a volume.
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
        self.augmenter = Augmenter(config.augment, size_px=config.size_px)

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        case, slice_index = self.side_a.any_slice(rng)
        slab = self._slab(case, slice_index, rng)
        if case.meta.paired:
            a, b = slab[: self.config.depth], slab[self.config.depth :]
        else:
            a, b = slab, self._other_side(case, slice_index, rng)
        return Sample(
            self._contrast("a", a, rng),
            self._contrast("b", b, rng),
            torch.tensor(case.meta.paired),
        )

    def _other_side(self, case: Case, slice_index: int, rng: np.random.Generator) -> Tensor:
        found = None
        if self.config.position_matched and not case.meta.plane:
            height = case.relative_height(slice_index)
            found = self.side_b.slice_at(height, case.meta.normal, rng)
        other, other_index = found or self.side_b.any_slice(rng)
        return self._slab(other, other_index, rng)[-self.config.depth :]

    def _slab(self, case: Case, slice_index: int, rng: np.random.Generator) -> Tensor:
        """(depth, P, P), or (2 * depth, P, P) of a pair; moved, and mirrored or not."""
        config = self.config
        wide = cut(
            case,
            draw_place(case, slice_index, rng),
            depth=config.depth,
            size_px=config.size_px,
            wide_px=self.augmenter.wide_px,
        )
        slab = self.augmenter.move(wide, rng)
        if rng.random() < config.augment.flip:
            slab = _mirrored(slab, config.depth, case.meta.normal)
        return slab.contiguous()

    def _contrast(self, side: Side, slab: Tensor, rng: np.random.Generator) -> Tensor:
        is_mr = self.config.domain(side).modality == "MR"
        if not is_mr or side not in self.config.augment.intensity:
            return slab.contiguous()
        return self.augmenter.change_contrast(slab, rng).contiguous()


def _mirrored(slab: Tensor, depth: int, normal: int) -> Tensor:
    """Left to right: rows run to the right, but for sagittal slabs, whose slices do."""
    if normal != SAGITTAL:
        return slab.flip(1)
    by_side = slab.reshape(-1, depth, *slab.shape[1:])
    return by_side.flip(1).flatten(0, 1)
