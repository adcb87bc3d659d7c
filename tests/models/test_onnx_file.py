"""ONNX files give what torch gives, at every size, and are refused where they would not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from medcyclegan.errors import CannotWrite, ModelRefused, UsageError
from medcyclegan.models import onnx_file
from medcyclegan.models.onnx_file import TOLERANCE, PaddedByIndices, write_onnx
from medcyclegan.models.store import Model
from medcyclegan.networks.factory import GeneratorConfig, make_generator
from tests.tiny_model import tiny_card

# Every kind, every norm, every last layer.
NETWORKS = {
    "shuffle_unet": {"widths": (4, 8)},
    "instance": {"widths": (4, 8), "norm": "instance"},
    "levels": {"widths": (4, 8), "levels": (-1.0, -0.2, 1.0)},
    "residual": {"widths": (4, 8), "residual": True},
    "resnet": {"kind": "resnet", "widths": (4,), "norm": "instance"},
    "unet": {"kind": "unet", "widths": (4, 8)},
    "concat_unet": {"kind": "concat_unet", "widths": (4, 8)},
}
# (N, H, W) that the exporter did not see: below the multiple, just above it, whole multiples.
SIZES = ((1, 1, 7), (3, 5, 64), (1, 47, 33), (2, 16, 32))


def model_of(name: str) -> Model:
    """A model of three slices with weights large enough that every layer tells in the output."""
    torch.manual_seed(3)
    config = GeneratorConfig.model_validate(NETWORKS[name])
    generator = make_generator(config, depth=3).eval().requires_grad_(False)
    for weight in generator.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    return Model(tiny_card().model_copy(update={"generator": config}), generator)


def run(path: Path, x: Tensor) -> np.ndarray[Any, Any]:
    """What onnxruntime makes of slabs."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (made,) = session.run(["target"], {"source": x.numpy()})
    return np.asarray(made)


def slabs(size: tuple[int, int, int]) -> Tensor:
    """Noise in [-1, 1] of (N, 3, H, W)."""
    count, height, width = size
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Model, Path]:
    """A model of each kind and its file."""
    model, path = model_of(request.param), tmp_path_factory.mktemp("onnx") / "net.onnx"
    written = write_onnx(model, path, version="1.2.3")
    assert written.largest_difference <= TOLERANCE
    return model, path


def test_onnx_gives_what_torch_gives_at_sizes_that_it_was_not_traced_at(
    exported: tuple[Model, Path],
) -> None:
    model, path = exported
    for size in SIZES:
        wanted = model.generator(slabs(size)).numpy()
        found = run(path, slabs(size))
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= TOLERANCE * max(1.0, np.abs(wanted).max()), size


def test_the_file_tells_card_sha256_and_version(exported: tuple[Model, Path]) -> None:
    model, path = exported
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    told = {prop.key: prop.value for prop in proto.metadata_props}
    assert json.loads(told["card"]) == json.loads(model.card.model_dump_json())
    assert told["weights_sha256"] == model.card.weights_sha256
    assert told["medcyclegan_version"] == "1.2.3"
    assert [p.name for p in path.parent.iterdir()] == ["net.onnx"]


class _PaddedAsTraced(nn.Module):
    """The control: padding by as much as the traced size needs, as a plain export keeps it."""

    def __init__(self, generator: nn.Module, multiple: int) -> None:
        super().__init__()
        self.generator = generator
        height, width = onnx_file._TRACED_SIZE[1:]
        self.by = (0, -width % multiple, 0, -height % multiple)

    def forward(self, x: Tensor) -> Tensor:
        """As ``PaddedByIndices``, at the traced size alone."""
        padded = nn.functional.pad(x, self.by, mode="replicate")
        made: Tensor = self.generator(padded)
        return made[..., : x.shape[-2], : x.shape[-1]]


def test_a_file_that_differs_from_torch_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter is given other weights than those that it is held against."""
    other = model_of("shuffle_unet")
    for weight in other.generator.parameters():
        weight.mul_(1.01)
    content = onnx_file._onnx_of(other, version="0")
    monkeypatch.setattr(onnx_file, "_onnx_of", lambda *_, **__: content)
    with pytest.raises(ModelRefused, match=r"differs from torch by .*at most 0\.0001"):
        write_onnx(model_of("shuffle_unet"), tmp_path / "net.onnx", version="0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("padding", [PaddedByIndices, _PaddedAsTraced])
def test_indices_pad_as_the_network_does_and_a_fixed_padding_does_not(
    padding: Callable[[nn.Module, int], nn.Module],
) -> None:
    generator = model_of("shuffle_unet").generator
    multiple = generator.multiple
    assert isinstance(multiple, int)
    wrapped = padding(_only_whole(generator, multiple), multiple)
    equal = []
    for size in SIZES:
        try:
            equal.append(torch.equal(wrapped(slabs(size)), generator(slabs(size))))
        except ValueError:
            equal.append(False)
    assert all(equal) == (padding is PaddedByIndices)


def _only_whole(generator: nn.Module, multiple: int) -> nn.Module:
    """A generator whose own padding must not be needed: it is lost in an export."""

    class OnlyWhole(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[-2] % multiple or x.shape[-1] % multiple:
                raise ValueError(f"{x.shape} is no multiple of {multiple}")
            made: Tensor = generator(x)
            return made

    return OnlyWhole()


def test_what_cannot_be_written_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("shuffle_unet")
    with pytest.raises(UsageError, match=r"net\.bin.*\*\.onnx"):
        write_onnx(model, tmp_path / "net.bin", version="0")
    (tmp_path / "net.onnx").write_bytes(b"mine")
    with pytest.raises(CannotWrite, match="exists"):
        write_onnx(model, tmp_path / "net.onnx", version="0")
    assert (tmp_path / "net.onnx").read_bytes() == b"mine"
    monkeypatch.setattr(onnx_file, "_MOST_WEIGHT_BYTES", 100)
    with pytest.raises(ModelRefused, match="bytes of weights"):
        write_onnx(model, tmp_path / "new.onnx", version="0")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def without(name: str) -> Any:
        if name == missing:
            raise ModuleNotFoundError(name=name)
        return None

    monkeypatch.setattr(onnx_file, "import_module", without)
    with pytest.raises(UsageError, match=rf"{missing} is not installed.*medcyclegan\[export\]"):
        write_onnx(model_of("shuffle_unet"), tmp_path / "net.onnx", version="0")
    assert list(tmp_path.iterdir()) == []
