"""What a training step is given: a slab of each side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Sample(NamedTuple):
    """One item of training data, or a batch of them.

    ``a`` and ``b`` are slabs (depth, P, P) in [-1, 1] of the two sides, with a batch axis in front
    once collated. ``paired`` is bool, () or (N,): whether both show the same anatomy, aligned,
    so that they may be compared voxel by voxel. ``matched``, bool, () or (N,): whether they show
    the same place in two bodies, brought to one size, so that they are alike in the mean.
    """

    a: Tensor
    b: Tensor
    paired: Tensor
    matched: Tensor = torch.tensor(False)
