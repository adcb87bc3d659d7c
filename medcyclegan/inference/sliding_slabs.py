"""Sliding slabs: a volume cut into overlapping slabs, run through a network, blended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from medcyclegan.errors import DeviceError


@dataclass(frozen=True)
class SlabPlan:
    """Where slabs of ``depth`` slices start in a volume of ``slices`` slices.

    Neighbouring slabs start ``stride`` slices apart; the last ends with the volume. A volume of
    fewer than ``depth`` slices is one slab, its edge slices repeated.
    """

    slices: int
    depth: int
    stride: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First slice of every slab."""
        last = max(0, self.slices - self.depth)
        regular = tuple(range(0, last, self.stride))
        return (*regular, last)

    @property
    def weights(self) -> Tensor:
        """(depth,), how much a slab's slices count: most in the middle, where context is whole."""
        centre = (self.depth - 1) / 2.0
        return 1.0 + centre - (torch.arange(self.depth) - centre).abs()


def cut_slabs(volume: Tensor, plan: SlabPlan, starts: Iterable[int]) -> Tensor:
    """(D, H, W) -> (len(starts), depth, H, W), the slabs that start at ``starts``."""
    last = volume.shape[0] - 1
    return torch.stack(
        [volume[[min(start + n, last) for n in range(plan.depth)]] for start in starts]
    )


class SlabBlender:
    """Sum slabs into a volume with weights that make a partition of unity: blend(cut(x)) = x."""

    def __init__(self, plan: SlabPlan, shape_hw: tuple[int, int]) -> None:
        self.plan = plan
        self.total = torch.zeros((plan.slices, *shape_hw))
        self.weight = torch.zeros(plan.slices)

    def add(self, slabs: Tensor, starts: Iterable[int]) -> None:
        """Add slabs (N, depth, H, W) that start at ``starts``."""
        for slab, start in zip(slabs, starts, strict=True):
            for n, weight in enumerate(self.plan.weights.tolist()):
                if start + n < self.plan.slices:
                    self.total[start + n] += weight * slab[n]
                    self.weight[start + n] += weight

    def result(self) -> Tensor:
        """(D, H, W) float32; every slice must have been covered."""
        return self.total / self.weight[:, None, None]


DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Progress = Callable[[int, int], None]

# torch raises RuntimeError where it finds no memory, as for much else; this is in its message.
_CPU_ALLOCATOR = "DefaultCPUAllocator"
# Pixels a forward pass works on at once, over all slabs. On a CPU few take less memory, and are no
# slower (benchmarks/batch_pixels.py); what a GPU is given takes about 0.5 GB.
BATCH_PIXELS = {"cpu": 75_000, "cuda": 400_000, "mps": 400_000}


def choose_device(name: DeviceName) -> torch.device:
    """Return the device asked for; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    DeviceError
        If the device asked for is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, is_there in there.items() if is_there))
    if not there[name]:
        raise DeviceError(
            f"--device {name}: this torch ({torch.__version__}) finds no such device",
            rule="the device must be there",
            remedy="use --device cpu, or install a build of torch for it",
        )
    return torch.device(name)


@contextmanager
def memory_refusals() -> Iterator[None]:
    """Turn what is raised when the computer's memory does not suffice into ``DeviceError``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or _CPU_ALLOCATOR in str(error)):
            raise
        raise DeviceError(
            "The computer's memory does not suffice",
            remedy="free some, or give a scan with a smaller field of view",
        ) from error


def translate(
    generator: nn.Module,
    values: Tensor,
    *,
    depth: int,
    stride: int | None = None,
    device: torch.device,
    progress: Progress | None = None,
) -> Tensor:
    """Translate a prepared volume (C, D, H, W) in [-1, 1] into another, (C', D, H, W).

    C and C' are the channels that the generator takes and gives. Without the axis, (D, H, W), a
    volume is one channel, and so is what comes back if there is but one.

    Slabs start ``stride`` slices apart, if it is None so many that they overlap by a little less
    than half, and are blended. ``progress`` is called with the number of slabs done and their
    total.

    Raises
    ------
    DeviceError
        If the memory of the device does not suffice.
    """
    channels = values if values.ndim == 4 else values[None]
    slices, height, width = channels.shape[1:]
    plan = SlabPlan(slices=slices, depth=depth, stride=stride or (depth + 1) // 2)
    blenders: list[SlabBlender] = []
    per_batch = max(1, BATCH_PIXELS[device.type] // (height * width))
    starts = plan.starts
    generator = generator.to(device)
    with _refusing_large(device, values), torch.inference_mode(), _autocast(device):
        for first in range(0, len(starts), per_batch):
            some = starts[first : first + per_batch]
            slabs = torch.cat([cut_slabs(one, plan, some) for one in channels], dim=1).to(device)
            fake = generator(slabs.contiguous(memory_format=torch.channels_last)).float().cpu()
            made = fake.split(depth, dim=1)
            blenders = blenders or [SlabBlender(plan, (height, width)) for _ in made]
            for blender, one in zip(blenders, made, strict=True):
                blender.add(one, some)
            if progress is not None:
                progress(first + len(some), len(starts))
    results = [blender.result() for blender in blenders]
    return results[0] if values.ndim == 3 and len(results) == 1 else torch.stack(results)


def run_slab(generator: nn.Module, slab: Tensor, *, device: torch.device) -> Tensor:
    """Run one slab (depth, H, W) in [-1, 1] through a generator; returns its like, on the CPU.

    Raises
    ------
    DeviceError
        If the memory of the device does not suffice.
    """
    given = slab[None].to(device).contiguous(memory_format=torch.channels_last)
    with _refusing_large(device, slab), torch.inference_mode(), _autocast(device):
        return generator.to(device)(given).float().cpu()[0]  # type: ignore[no-any-return]


@contextmanager
def _refusing_large(device: torch.device, values: Tensor) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"Out of memory on {device.type} for slices of {tuple(values.shape[-2:])}",
            remedy="use --device cpu, or a scan with a smaller field of view",
        ) from error


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; emulated it would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _autocast(device: torch.device) -> Any:
    if has_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
