"""Devices, and running a generator slab by slab."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.errors import DeviceError, ExitCode
from medcyclegan.inference import sliding_slabs as translator
from medcyclegan.inference.sliding_slabs import choose_device, translate

CPU = torch.device("cpu")


class Recorder(nn.Module):
    """Returns its input, or raises; remembers the shapes that it saw."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        if self.error is not None:
            raise self.error
        assert not torch.is_grad_enabled()
        return x


@pytest.mark.parametrize("slices", [1, 2, 5, 8, 19])
@pytest.mark.parametrize("depth", [1, 3, 5])
def test_the_identity_gives_back_the_volume(slices: int, depth: int) -> None:
    values = torch.randn((slices, 7, 9), generator=torch.Generator().manual_seed(slices))
    network = Recorder()
    result = translate(network, values, depth=depth, device=CPU)
    torch.testing.assert_close(result, values, rtol=0.0, atol=1e-6)
    assert {shape[1:] for shape in network.shapes} == {(depth, 7, 9)}


@pytest.mark.parametrize(("stride", "slabs"), [(None, 6), (1, 15), (4, 5), (5, 4)])
def test_the_further_apart_slabs_start_the_fewer_they_are(stride: int | None, slabs: int) -> None:
    values = torch.randn((19, 7, 9), generator=torch.Generator().manual_seed(1))
    network = Recorder()
    result = translate(network, values, depth=5, stride=stride, device=CPU)
    torch.testing.assert_close(result, values, rtol=0.0, atol=1e-6)
    assert sum(shape[0] for shape in network.shapes) == slabs


def test_slabs_are_seen_in_order_of_their_slices() -> None:
    """A network that takes the slab's middle slice for all of it blurs along the slices alone."""

    class Middle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 1:2].expand_as(x)

    ramp = torch.arange(9.0)[:, None, None].expand(9, 4, 5)
    result = translate(Middle(), ramp, depth=3, device=CPU)
    assert result.std(dim=(1, 2)).max() == 0.0
    assert result[2:-2, 0, 0].tolist() == pytest.approx([2.0, 3.0, 4.0, 5.0, 6.0])


def test_batches_are_small_and_progress_reaches_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(translator.BATCH_PIXELS, "cpu", 4 * 6 * 6)
    calls: list[tuple[int, int]] = []
    network = Recorder()
    translate(
        network, torch.zeros(20, 6, 6), depth=3, device=CPU, progress=lambda *c: calls.append(c)
    )
    assert [shape[0] for shape in network.shapes] == [4, 4, 2]
    assert calls == [(4, 10), (8, 10), (10, 10)]
    # A slice larger than the budget is still translated, one slab at a time.
    large = Recorder()
    translate(large, torch.zeros(5, 20, 20), depth=3, device=CPU)
    assert {shape[0] for shape in large.shapes} == {1}


def test_out_of_memory_is_said_with_a_remedy() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(DeviceError, match=r"Out of memory on cpu .*\(6, 7\).*--device cpu") as seen:
        translate(Recorder(error), torch.zeros(3, 6, 7), depth=3, device=CPU)
    assert seen.value.exit_code == ExitCode.DEVICE_OR_MEMORY
    with pytest.raises(ZeroDivisionError):  # other errors are not dressed up as it
        translate(Recorder(ZeroDivisionError()), torch.zeros(3, 6, 7), depth=3, device=CPU)


def test_the_cpu_is_there_and_auto_finds_a_device() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there[name]:
        pytest.skip(f"{name} is there")
    with pytest.raises(DeviceError, match=f"--device {name}.*use --device cpu") as seen:
        choose_device(name)  # type: ignore[arg-type]
    assert seen.value.exit_code == 6


def test_auto_prefers_what_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    assert choose_device("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "mps"
