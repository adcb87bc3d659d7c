"""A generator as an ONNX file, held against torch before it gets its name.

The file takes slabs (N, C * depth, H, W) in [-1, 1] and gives (N, C' * depth, H, W), both float32;
N, H and W are free. What a scan goes through before and after is no part of it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medcyclegan.errors import ModelRefused, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.models.store import Model

SOURCE, TARGET = "source", "target"
# Keys of the ONNX file's metadata.
CARD_KEY, WEIGHTS_KEY, VERSION_KEY = "card", "weights_sha256", "medcyclegan_version"
# The exported operators: the first opset in which all of them are, layer norm among them.
OPSET = 18
# Largest difference to torch, of the range -1 to 1 or of the largest output where that is more.
# float32 sums that are taken in another order differ by some 1e-6; a wrong operator by far more.
TOLERANCE = 1e-4
# (N, H, W): primes, so that no network's multiple fits and the padding is at work in each.
COMPARED_SIZES = ((1, 37, 53), (2, 71, 29), (3, 131, 67))
# Traced at this (N, H, W); sizes of 1 would be taken for fixed ones.
_TRACED_SIZE = (2, 33, 45)
# A protobuf, which an ONNX file is, holds at most 2 GiB; some of it is the graph's.
_MOST_WEIGHT_BYTES = 2**31 - 2**24
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxFile:
    """What was written; ``largest_difference`` to torch is relative, as ``TOLERANCE`` is."""

    path: Path
    opset: int
    largest_difference: float


class PaddedByIndices(nn.Module):
    """A generator that is given whole multiples, the input's edge repeated by clamped indices.

    ``networks.layers.pad_to_multiple`` does the same behind an ``if``, of which an export keeps
    the branch of the size that it was traced at; indices are computed at every size.
    """

    def __init__(self, generator: nn.Module, multiple: int) -> None:
        super().__init__()
        self.generator = generator
        self.multiple = multiple

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W) float32, any H and W."""
        height, width = x.shape[-2:]
        padded = x.index_select(2, self._indices(height)).index_select(3, self._indices(width))
        made: Tensor = self.generator(padded)
        return made[..., :height, :width]

    def _indices(self, size: int) -> Tensor:
        whole = (size + self.multiple - 1) // self.multiple * self.multiple
        return torch.arange(whole).clamp(max=size - 1)


def write_onnx(model: Model, out: Path, *, version: str, overwrite: bool = False) -> OnnxFile:
    """Write a model's generator as ONNX; the card and its sha256 go into the file's metadata.

    The file is checked by onnx, run by onnxruntime at ``COMPARED_SIZES`` and held against torch;
    it gets its name only if they agree.

    Raises
    ------
    UsageError
        If a package of the extra ``export`` is missing, or ``out`` is not called ``*.onnx``.
    CannotWrite
        If ``out`` exists and ``overwrite`` is false, or where the system refuses.
    ModelRefused
        If the generator is too large for a file, or the file does not give what torch gives.
    """
    if out.suffix.lower() != ".onnx":
        raise UsageError(f"--out {out}", rule="an ONNX file is called *.onnx", remedy="rename it")
    for package in _PACKAGES:
        _import(package)
    _refuse_large(model)
    with atomic_file(out, overwrite=overwrite) as part:
        part.write_bytes(_onnx_of(model, version=version))
        _import("onnx").checker.check_model(str(part), full_check=True)
        difference = largest_difference(part, model)
        if not difference <= TOLERANCE:  # NaN is none of both
            raise ModelRefused(
                f"The ONNX file of {model.card.name} differs from torch by {difference:.3g}",
                rule=f"at most {TOLERANCE:g} of the range -1 to 1",
                remedy="install the versions of constraints.txt; nothing was written",
            )
    return OnnxFile(out, OPSET, difference)


def largest_difference(path: Path, model: Model) -> float:
    """Return how far onnxruntime and torch are apart at ``COMPARED_SIZES``.

    Infinity if a shape differs; relative to the largest output where that is above 1.
    """
    runtime = _import("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    channels = _channels_in(model)
    draws = torch.Generator().manual_seed(0)
    worst = 0.0
    for count, height, width in COMPARED_SIZES:
        x = torch.rand((count, channels, height, width), generator=draws) * 2.0 - 1.0
        with torch.inference_mode():
            wanted = model.generator(x).numpy()
        (found,) = session.run([TARGET], {SOURCE: x.numpy()})
        if found.shape != wanted.shape or not np.isfinite(found).all():
            return float("inf")
        largest = max(1.0, float(np.abs(wanted).max()))
        worst = max(worst, float(np.abs(found - wanted).max()) / largest)
    return worst


def _onnx_of(model: Model, *, version: str) -> bytes:
    count, height, width = _TRACED_SIZE
    multiple = model.generator.multiple
    assert isinstance(multiple, int)  # of every generator
    free = torch.export.Dim.DYNAMIC
    with _quiet_exporter():
        program = torch.onnx.export(
            PaddedByIndices(model.generator, multiple).eval(),
            (torch.zeros((count, _channels_in(model), height, width)),),
            dynamo=True,
            dynamic_shapes={"x": {0: free, 2: free, 3: free}},
            input_names=[SOURCE],
            output_names=[TARGET],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # as it is with dynamo
    proto: Any = program.model_proto
    card = model.card
    facts = {
        CARD_KEY: card.model_dump_json(),
        WEIGHTS_KEY: card.weights_sha256,
        VERSION_KEY: version,
    }
    _import("onnx").helper.set_model_props(proto, facts)
    proto.doc_string = f"{card.name} {card.version}: {card.summary}. {card.intended_use}"
    content: bytes = proto.SerializeToString()
    return content


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what the exporter says of torchvision, and of torch's own deprecated functions.

    Neither is for users to act on; the written file is held against torch, whatever was said.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _channels_in(model: Model) -> int:
    return model.task.source.channel_count * model.task.depth


def _refuse_large(model: Model) -> None:
    size = 4 * sum(weight.numel() for weight in model.generator.state_dict().values())
    if size > _MOST_WEIGHT_BYTES:
        raise ModelRefused(
            f"{model.card.name} has {size} bytes of weights in float32",
            rule=f"one ONNX file holds at most {_MOST_WEIGHT_BYTES}",
            remedy="a model with smaller generator.widths fits",
        )


def _import(package: str) -> Any:
    """Import a package of the extra, which a plain installation lacks."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The package {package} is not installed",
            rule=f"ONNX needs {', '.join(_PACKAGES)}",
            remedy="pip install 'medcyclegan[export]'",
        ) from error
