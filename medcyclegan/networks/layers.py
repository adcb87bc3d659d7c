"""Small layers that the generators share. Tensors are (N, C, H, W)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Slope of the leaky ReLU for negative values.
LEAK = 0.1

# A low-pass of a binomial that is 1 at frequency 0 and 0 at the Nyquist frequency; odd.
_LOW_PASS = (1 / 64, 6 / 64, 15 / 64, 20 / 64, 15 / 64, 6 / 64, 1 / 64)

# Logits of levels are cut here; those of trained networks stay far below.
LARGEST_LOGIT = 60.0


class ChannelNorm(nn.Module):
    """Normalise the channels of every pixel by themselves (layer norm over C).

    A pixel's result does not depend on how much air surrounds the head or how large the patch is,
    which instance norm cannot promise: with it, padding a scan changes its values.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        weight, bias = self.norm.weight.to(x.dtype), self.norm.bias.to(x.dtype)
        # autocast would turn to float32 and back, which costs more than the norm itself
        with torch.autocast(x.device.type, enabled=False):
            last = x.permute(0, 2, 3, 1)
            out = functional.layer_norm(last, self.norm.normalized_shape, weight, bias)
        return out.permute(0, 3, 1, 2)


def make_norm(kind: str, channels: int) -> nn.Module:
    """Return the normalisation layer called ``channel`` or ``instance``."""
    if kind == "channel":
        return ChannelNorm(channels)
    return nn.InstanceNorm2d(channels, affine=True)


class ResidualBlock(nn.Module):
    """act(x + norm(conv(act(norm(conv(x)))))), both convolutions 3 x 3.

    Norms after the convolutions: with one norm ahead of them the same network learned thin bone
    several times more slowly.
    """

    def __init__(self, channels: int, *, norm: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.first_norm = make_norm(norm, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = make_norm(norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        hidden = functional.leaky_relu(self.first_norm(self.first(x)), LEAK)
        out = x + self.second_norm(self.second(hidden))
        return functional.leaky_relu(out, LEAK)


class ShuffleUp(nn.Module):
    """Double H and W by a convolution and a pixel shuffle.

    The sub-pixel kernels start out equal (ICNR, Aitken et al. 2017, arXiv 1707.02937), so that
    no checkerboard is there at the start.
    """

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, kernel, padding=kernel // 2)
        with torch.no_grad():
            first = self.conv.weight[::4].clone()
            self.conv.weight.copy_(first.repeat_interleave(4, dim=0))
            if self.conv.bias is not None:
                self.conv.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, 2 H, 2 W)."""
        return functional.pixel_shuffle(self.conv(x), 2)


class GridNotch(nn.Module):
    """Take out what repeats every 2 pixels over some pixels: the checkerboard of up-sampling.

    Sub-pixels come from kernels of their own, so that flat tissue would show a grid of 2 pixels
    whose strength follows from the weights alone. A linear filter without weights has no response
    at the three Nyquist frequencies, of columns, rows and both, and nearly 1 elsewhere: a detail
    that repeats every 4 pixels keeps 7/8 of it. A constant and a ramp stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        low = torch.tensor(_LOW_PASS)
        middle = low.numel() // 2
        signs = torch.tensor([(-1.0) ** (tap - middle) for tap in range(low.numel())])
        high = low * signs
        found = torch.outer(low, high) + torch.outer(high, low) + torch.outer(high, high)
        kernel = -found
        kernel[middle, middle] += 1.0
        self.register_buffer("kernel", kernel[None, None], persistent=False)
        self.kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same, float32."""
        reach = self.kernel.shape[-1] // 2
        with torch.autocast(x.device.type, enabled=False):
            # replicated edges: any size can be padded so
            wide = functional.pad(x.float(), (reach,) * 4, mode="replicate")
            kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
            return functional.conv2d(wide, kernel, groups=x.shape[1])


class LevelHead(nn.Module):
    """A last layer that weighs fixed levels: the output is their mean under a softmax.

    Where it is not sure whether a voxel is bone or air, plain regression learns slowly; a
    cross-entropy on the levels does not (``training.losses.level_loss``). ``levels`` are normalised
    values, ascending; outputs lie between the first and the last.
    """

    def __init__(self, channels_in: int, depth: int, *, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.depth = depth
        self.up = ShuffleUp(channels_in, depth * len(levels))
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("_sums", _sums_kernel(levels, depth), persistent=False)
        self.levels: Tensor
        self._sums: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, depth, levels, 2 H, 2 W) float32."""
        logits: Tensor = in_float32(self.up, features).unflatten(1, (self.depth, -1))
        return logits

    def mean(self, logits: Tensor) -> Tensor:
        """(N, depth, levels, H, W) -> (N, depth, H, W)."""
        mean: Tensor = torch.einsum("ndlhw,l->ndhw", logits.softmax(dim=2), self.levels)
        return mean

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, depth, 2 H, 2 W) float32; ``mean`` of ``logits``, in half the time.

        The softmax is taken before the pixels are unfolded, its sums as a convolution.
        """
        with torch.autocast(features.device.type, enabled=False):
            logits = self.up.conv(features.float())
            # no maximum is subtracted first: float32 holds the sums of exponentials up to 88
            # in place: these are the largest tensors of a pass
            weights = logits.clamp_(-LARGEST_LOGIT, LARGEST_LOGIT).exp_()
            weighted, total = functional.conv2d(weights, self._sums).chunk(2, dim=1)
            return functional.pixel_shuffle(weighted / total, 2)


def _sums_kernel(levels: tuple[float, ...], depth: int) -> Tensor:
    """A 1 x 1 convolution that adds up the levels of each sub-pixel: weighted, then plain.

    (2 * depth * 4, depth * levels * 4, 1, 1); channels are slice by slice, level by level,
    sub-pixel by sub-pixel, as ``pixel_shuffle`` takes them.
    """
    both = torch.tensor([levels, [1.0] * len(levels)])
    same_slice, same_pixel = torch.eye(depth), torch.eye(4)
    kernel = torch.einsum("kl,de,pq->kdpelq", both, same_slice, same_pixel)
    return kernel.reshape(2 * depth * 4, depth * len(levels) * 4, 1, 1)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad (N, C, H, W) at the end of H and W by edge values to multiples of ``multiple``."""
    height, width = x.shape[-2:]
    extra_h, extra_w = -height % multiple, -width % multiple
    if extra_h == 0 and extra_w == 0:
        return x
    return functional.pad(x, (0, extra_w, 0, extra_h), mode="replicate")


def in_float32(head: nn.Module, features: Tensor) -> Tensor:
    """Run the last layer of a generator in float32: bfloat16 resolves but 3 HU in soft tissue."""
    with torch.autocast(features.device.type, enabled=False):
        out: Tensor = head(features.float())
    return out


def init_weights(network: nn.Module) -> None:
    """Draw all convolutions' weights after He et al. 2015 (arXiv 1502.01852), biases zero.

    Sub-pixel convolutions are left as they are.
    """
    shuffled = {up.conv for up in network.modules() if isinstance(up, ShuffleUp)}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer not in shuffled:
            nn.init.kaiming_normal_(layer.weight, a=LEAK)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
