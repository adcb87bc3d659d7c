"""What a training step is given: a slab of each side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate


class Sample(NamedTuple):
    """One item of training data, or a batch of them.

    ``a`` and ``b`` are slabs (depth, P, P) in [-1, 1] of the two sides, (C, depth, P, P) of one
    with several channels, with a batch axis in front once collated. ``paired`` is bool, () or (N,):
    whether both show the same anatomy, aligned, so that they may be compared voxel by voxel.
    ``matched``, bool, () or (N,): whether they show the same place in two bodies, brought to one
    size, so that they are alike in the mean.

    An item may hold several slabs of one anatomy, as a simulation draws it in several contrasts:
    then it has the batch axis already, ``paired`` too.
    """

    a: Tensor
    b: Tensor
    paired: Tensor
    matched: Tensor = torch.tensor(False)


def collate(items: Sequence[Sample]) -> Sample:
    """Make a batch of items, (N, depth, P, P); those of several slabs are joined end to end."""
    if items[0].paired.ndim == 0:
        batch: Sample = default_collate(list(items))
        return batch
    return Sample(*(torch.cat(tensors) for tensors in zip(*items, strict=True)))


def first_slab(item: Sample) -> Sample:
    """The item, or the first slab of one that holds several; all without a batch axis."""
    return item if item.paired.ndim == 0 else Sample(*(part[0] for part in item))
