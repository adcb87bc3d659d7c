"""Losses on translated slabs, and the MIND structure loss. Tensors are (N, depth, H, W).

A structure loss by MIND, the modality independent neighbourhood descriptor.
Heinrich et al. 2012 (Medical Image Analysis 16, 1423-1435) describe every pixel x by how alike its
patch is to the patches around it:

    MIND(x, r) = exp(-D(x, x + r) / V(x)) / n,   r in R

D is the squared difference of two patches, weighted by a Gaussian; V, a local variance, is the mean
of D over the four nearest neighbours; n makes the greatest entry 1. It depends on where tissues
change and not on how bright they are. Yang et al. 2018 (arXiv 1809.04536) take the mean absolute
difference of the descriptors of input and output as a loss that keeps the anatomy in a CycleGAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

# Offsets (rows, columns) of R: a ring of 5 x 5 pixels, every second one. Yang et al. compare with
# all of 9 x 9, which costs ten times as much.
SEARCH = ((-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2))
NEAREST = ((-1, 0), (1, 0), (0, -1), (0, 1))

PATCH_SIGMA_PX = 1.0
PATCH_RADIUS_PX = 2

# A local variance that is noise: (0.01 of half the value range)^2. In flat air all is alike.
VARIANCE_FLOOR = 1e-4


def structure_loss(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of the descriptors of two slabs (N, depth, H, W), a scalar.

    Slices are described one by one, in the plane.
    """
    return (mind(one) - mind(other)).abs().mean()


def mind(slabs: Tensor) -> Tensor:
    """Describe slabs: (N, depth, H, W) -> (N * depth, 8, H, W) in (0, 1]."""
    planes = slabs.float().flatten(0, 1)[:, None]
    with torch.autocast(slabs.device.type, enabled=False):
        variance = _distances(planes, NEAREST).mean(dim=1, keepdim=True) + VARIANCE_FLOOR
        exponent = -_distances(planes, SEARCH) / variance
    return (exponent - exponent.amax(dim=1, keepdim=True)).exp()


def _distances(planes: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """D(x, x + r): (M, 1, H, W) -> (M, len(offsets), H, W); beyond the border the edge goes on."""
    height, width = planes.shape[-2:]
    reach = max(abs(step) for offset in offsets for step in offset)
    wide = functional.pad(planes, (reach,) * 4, mode="replicate")
    shifted = [
        wide[..., reach + row : reach + row + height, reach + column : reach + column + width]
        for row, column in offsets
    ]
    return _patch_sum((planes - torch.cat(shifted, dim=1)).square())


def _patch_sum(squares: Tensor) -> Tensor:
    """Weight the surroundings of every pixel by a Gaussian of sum 1; (M, C, H, W) -> the same."""
    at = torch.arange(-PATCH_RADIUS_PX, PATCH_RADIUS_PX + 1, device=squares.device)
    line = (-at.square() / (2.0 * PATCH_SIGMA_PX**2)).exp()
    line = line / line.sum()
    channels = squares.shape[1]
    wide = functional.pad(squares, (PATCH_RADIUS_PX,) * 4, mode="replicate")
    rows = functional.conv2d(
        wide, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels
    )
    columns = line.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return functional.conv2d(rows, columns, groups=channels)


Weight = Annotated[float, Field(ge=0)]

# Added to a variance of gradients: of slabs of nothing but air, below the rounding of bfloat16.
_VARIANCE_FLOOR = 1e-8
# Voxels of bone in a slab from which on their mean counts in full.
_LEAST_BONE = 200


class LossWeights(BaseModel):
    """How much each loss counts; with 0 it is not computed, and neither is what it alone needs.

    ``paired_l1`` acts on the pairs of a batch, ``matched`` on slabs of the same place in two
    bodies, all others on every item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    adversarial: Weight = 1.0
    cycle: Weight = 10.0
    identity: Weight = 5.0
    structure: Weight = 0.0
    gradient: Weight = 0.0
    paired_l1: Weight = 0.0
    matched: Weight = 0.0

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not any((self.adversarial, self.cycle, self.identity, self.paired_l1, self.matched)):
            raise ValueError(
                "adversarial, cycle, identity, paired_l1 and matched are all 0: nothing to learn"
            )
        return self


class Warmup(BaseModel):
    """The first ``share`` of a training, with weights of the losses of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    share: Annotated[float, Field(gt=0, le=1)]
    losses: LossWeights


def weighted_sum(losses: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """What the generators lower, a scalar."""
    first, *others = [getattr(weights, name) * loss for name, loss in losses.items()]
    total: Tensor = sum(others, start=first)
    return total


def describe_weights(losses: LossWeights) -> str:
    """The weights above 0, as a card tells them."""
    weights = losses.model_dump()
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight)


def l1_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference, a scalar."""
    return (fake - real).abs().mean()


def l2_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference, a scalar: large errors, such as missed bone, count more."""
    return (fake - real).square().mean()


def gradient_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of the in-plane finite differences, a scalar: sharp edges count."""
    error = fake - real
    rows = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    columns = (error[..., :, 1:] - error[..., :, :-1]).abs().mean()
    return rows + columns


def two_hot_cross_entropy(logits: Tensor, real: Tensor, levels: Tensor) -> Tensor:
    """Cross-entropy of weighted levels, by voxel: (N, depth, H, W).

    ``logits`` (N, depth, levels, H, W); ``real`` (N, depth, H, W) is shared between the two
    ``levels`` that it lies between, so that their weighted mean is ``real`` (Imani and White 2018,
    arXiv 1806.04613, on regression by such a loss).
    """
    inside = real.clamp(levels[0], levels[-1]).contiguous()
    above = torch.searchsorted(levels, inside).clamp(1, levels.numel() - 1)
    lower, upper = levels[above - 1], levels[above]
    share = (inside - lower) / (upper - lower)
    log_p = logits.log_softmax(dim=2)
    log_lower = log_p.gather(2, (above - 1).unsqueeze(2)).squeeze(2)
    log_upper = log_p.gather(2, above.unsqueeze(2)).squeeze(2)
    return -((1.0 - share) * log_lower + share * log_upper)


def border_losses(fake: Tensor, real: Tensor, *, threshold: float, width: float) -> Tensor:
    """How badly two soft masks of bone fit, by item: (2, N), border and volume, each in [0, 1].

    A voxel belongs to bone by sigmoid((value - threshold) / width). The border loss is one minus
    the Dice of both masks, its sums of squares below the line (Milletari et al. 2016, arXiv
    1606.04797), so that it is 0 where both are equal; the volume loss is the difference of both
    volumes over their sum. Slabs (N, depth, H, W); threshold and width in the slabs' units.
    """
    p, q = (((x.float() - threshold) / width).sigmoid().flatten(1) for x in (fake, real))
    both = (p.square() + q.square()).sum(dim=1)
    border = (p - q).square().sum(dim=1) / both.clamp(min=_VARIANCE_FLOOR)
    volume = (p.sum(dim=1) - q.sum(dim=1)).abs() / (p.sum(dim=1) + q.sum(dim=1)).clamp(min=1.0)
    return torch.stack([border, volume])


def density_loss(fake: Tensor, real: Tensor, *, threshold: float) -> Tensor:
    """How far the mean over true bone is off, by item, (N,): 0 without bone.

    The loss of a voxel pulls what is uncertain towards the middle of what is likely, and bone is at
    one end of that: this one pulls it back, as far as the slab is too soft or too dense as a whole.
    Bone is what lies above the threshold in ``real``; slabs (N, depth, H, W), all in their units.
    In slabs with less than ``_LEAST_BONE`` voxels of it, it counts for less.
    """
    bone = (real > threshold).flatten(1)
    off = ((fake - real).float().flatten(1) * bone).sum(dim=1)
    return off.abs() / bone.sum(dim=1).clamp(min=_LEAST_BONE)


def generator_adversarial_loss(scores: Tensor) -> Tensor:
    """Mean of (score - 1)^2 over the scores of fakes, a scalar: what a generator lowers.

    Least squares GAN, Mao et al. 2017 (arXiv 1611.04076): 1 is for real, 0 for fake.
    """
    return (scores.float() - 1.0).square().mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Half of mean (real - 1)^2 + mean fake^2, a scalar: what a discriminator lowers.

    0.25 if it cannot tell at all, 0 if it tells perfectly.
    """
    real, fake = real_scores.float(), fake_scores.float()
    return 0.5 * ((real - 1.0).square().mean() + fake.square().mean())


def paired_l1_loss(fake: Tensor, real: Tensor, paired: Tensor) -> Tensor:
    """Mean over all items of the mean absolute difference, taken as 0 where there is no pair.

    ``paired`` is bool (N,). Items are not weighted by how many pairs a batch happens to hold, so
    that the loss of a batch is the mean of those of its parts.
    """
    return mean_of_chosen((fake - real).abs(), paired)


def matched_loss(fake: Tensor, real: Tensor, matched: Tensor) -> Tensor:
    """Mean over all items of |difference| + 2 difference^2, taken as 0 where nothing is matched.

    ``matched`` is bool (N,). ``real`` is the same place of another body, so that what is learned
    from many is no more than a mean for every place and signal; it tells bone from air, though,
    which are both dark in most MR.
    """
    error = (fake - real).float()
    return mean_of_chosen(error.abs() + 2.0 * error.square(), matched)


def gradient_consistency_loss(one: Tensor, other: Tensor) -> Tensor:
    """1 - correlation of the in-plane gradient magnitudes, mean over items, a scalar in [0, 2].

    Edges should lie at the same places; whether bright turns dark or dark bright, and by how much,
    does not count. Hiasa et al. 2018 (arXiv 1803.06629) correlate the components of the gradient,
    which does depend on the sign of the contrast.
    """
    x, y = (_centred(_gradient_magnitude(slabs.float())) for slabs in (one, other))
    covariance = (x * y).mean(dim=1)
    spread = (x.square().mean(dim=1) + _VARIANCE_FLOOR) * (y.square().mean(dim=1) + _VARIANCE_FLOOR)
    return (1.0 - covariance / spread.sqrt()).mean()


def mean_of_chosen(errors: Tensor, chosen: Tensor) -> Tensor:
    """Mean over all items of their mean error, taken as 0 for those not ``chosen`` (N,)."""
    per_item = errors.flatten(1).mean(dim=1) if errors.ndim > 1 else errors
    return per_item.where(chosen, per_item.new_zeros(())).mean()


def _gradient_magnitude(slabs: Tensor) -> Tensor:
    """(N, depth, H, W) -> (N, depth, H - 1, W - 1), by forward differences."""
    corner = slabs[..., :-1, :-1]
    rows, columns = slabs[..., 1:, :-1] - corner, slabs[..., :-1, 1:] - corner
    # the floor keeps the slope of the root finite where there is no edge
    return (rows.square() + columns.square() + _VARIANCE_FLOOR).sqrt()


def _centred(values: Tensor) -> Tensor:
    """(N, ...) -> (N, V) with mean 0."""
    flat = values.flatten(1)
    return flat - flat.mean(dim=1, keepdim=True)
