"""What a training step is given: a slab of each side."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sample(NamedTuple):
    """One item of training data, or a batch of them.

    ``a`` and ``b`` are slabs (depth, P, P) in [-1, 1] of the two sides, with a batch axis in front
    once collated. ``paired`` is bool, () or (N,): whether both show the same anatomy, aligned,
    so that they may be compared voxel by voxel.
    """

    a: Tensor
    b: Tensor
    paired: Tensor
