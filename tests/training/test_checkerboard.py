"""No generator leaves a grid of 2 pixels in flat tissue, at random weights or while it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medcyclegan.core.task import Window
from medcyclegan.models.store import load_model, shipped_models
from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.networks.layers import GridNotch, ShuffleUp
from medcyclegan.simulate.head_pairs import HeadGrid, MrCtHeads, T1T2Heads
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Moment
from medcyclegan.training.loop import fresh_state
from medcyclegan.training.parallel import Crew
from medcyclegan.training.settings import read_settings
from tests.checkerboard import grid_share, with_grid

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.yaml"))
# Of the spread of an image: a grid that no eye sees, and one that is there.
INVISIBLE, THERE = 0.004, 0.01
PATCH_PX, IMAGE_PX = 64, 128


def flat_tissues(depth: int, seed: int, size_px: int) -> Tensor:
    """Areas of nearly one value and soft edges between them: (1, depth, size, size)."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, depth, 4, 4), generator=rng)
    smooth = functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic")
    return 0.8 * (4.0 * smooth).tanh()


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-1, -2)])
def test_the_measure_sees_a_grid_in_any_direction_and_no_edges(axes: tuple[int, ...]) -> None:
    image = flat_tissues(1, 1, IMAGE_PX)
    assert grid_share(image, image) < 0.001
    number = sum(torch.arange(IMAGE_PX).reshape([-1] + [1] * (-1 - axis)) for axis in axes)
    signs = 1.0 - 2.0 * (torch.as_tensor(number) % 2)
    striped = image + 0.02 * image.std() * signs
    assert grid_share(striped, image) == pytest.approx(0.02, rel=0.05)


def test_a_transposed_convolution_is_told() -> None:
    torch.manual_seed(0)
    image = flat_tissues(1, 1, IMAGE_PX)
    up = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1)
    with torch.no_grad():
        made = up(functional.avg_pool2d(image, 2))
    assert grid_share(made, image) > 10 * THERE


def test_the_notch_keeps_ramps_and_details_and_takes_grids() -> None:
    notch = GridNotch()
    ramp = (torch.arange(48.0)[:, None] + 2.0 * torch.arange(64.0)).expand(1, 3, -1, -1) / 100.0
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(notch(ramp)[inner], ramp[inner], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(notch(with_grid(ramp, 0.5))[inner], ramp[inner], rtol=0.0, atol=1e-5)
    waves = torch.sin(torch.arange(64.0) * torch.pi / 2.0 + 0.3).expand(1, 1, 64, 64)
    kept = notch(waves)[inner].std() / waves[inner].std()
    assert kept == pytest.approx(7 / 8, abs=0.01)


@pytest.mark.parametrize("kind", ["shuffle_unet", "resnet", "unet", "concat_unet"])
def test_the_notch_takes_what_sub_pixels_of_any_generator_leave(kind: str) -> None:
    image = flat_tissues(3, 2, IMAGE_PX)
    shares = []
    for notch in (True, False):
        torch.manual_seed(0)
        config = GeneratorConfig.model_validate({"kind": kind, "widths": (8, 8), "notch": notch})
        generator = make_generator(config, depth=3)
        for layer in generator.modules():
            if isinstance(layer, ShuffleUp):
                nn.init.kaiming_normal_(layer.conv.weight)
        with torch.no_grad():
            shares.append(grid_share(generator(image), image))
    assert shares[0] < INVISIBLE
    assert shares[1] > THERE  # the control


def _config(path: Path) -> TrainConfig:
    small = [f"data.size_px={PATCH_PX}", "workers=0", "init_from=null", "late=null"]
    return read_settings(path, TrainConfig, changes=small)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_configuration_leaves_a_grid_at_any_step(path: Path) -> None:
    config = _config(path)
    if not config.generator.notch:
        pytest.skip("made as the weights that ship, which are measured below")
    depth = config.data.depth * config.traits.channels[0]
    state = fresh_state(config, torch.device("cpu"), Crew())
    image = flat_tissues(depth, 1, IMAGE_PX)
    for step in range(5):
        if step % 2 == 0:
            for way, generator in state.engine.generators().items():
                with torch.no_grad():
                    made = generator(image).float()
                assert grid_share(made, image) < INVISIBLE, (step, way)
                assert grid_share(with_grid(made, 2 * THERE), image) > THERE  # the control
        # every second step is after the warm-up, where discriminators are at work
        yes, a = torch.ones(1, dtype=torch.bool), flat_tissues(depth, 100 + step, PATCH_PX)
        moment = Moment(step, share=0.9 if step % 2 else 0.1, rate_factor=1.0)
        state.engine.step([Sample(a, 0.2 - 0.5 * a, yes, yes)], moment, Crew())


def test_unpaired_configurations_have_the_notch() -> None:
    kinds = {path.stem: _config(path) for path in CONFIGS}
    without = {name for name, some in kinds.items() if not some.generator.notch}
    assert without == {name for name, some in kinds.items() if some.generator.levels} | {
        "head_ct_denoise"  # as the weights that ship
    }


@pytest.fixture(scope="module")
def heads() -> dict[str, Tensor]:
    """Slabs (1, 5, 192, 192) of one phantom head through the brain: T1, T2, and CT in HU."""
    grid = HeadGrid((1.0, 1.0, 3.0), (192, 192, 5), height_mm=40.0)
    mr, ct = T1T2Heads(grid).pair(1, 1), MrCtHeads(grid, "t1").pair(1, 1)
    found = {"t1": mr.a, "t2": mr.b, "ct": ct.b}
    return {
        name: torch.from_numpy(np.ascontiguousarray(some.voxels.transpose(2, 1, 0)))[None].float()
        for name, some in found.items()
    }


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_what_ships_leaves_no_more_of_a_grid_than_its_input_has(
    name: str, heads: dict[str, Tensor]
) -> None:
    model = load_model(name)
    source = "ct" if model.task.source.modality == "CT" else "t2" if "t2-t1" in name else "t1"
    image, scaling = heads[source][:, : model.task.depth], model.task.source.scaling
    low, high = image.quantile(0.005), image.quantile(0.995)
    if isinstance(scaling, Window):
        low, high = torch.tensor(scaling.lower), torch.tensor(scaling.upper)
    given = ((image - low) / (high - low) * 2.0 - 1.0).clamp(-1.0, 1.0)
    with torch.no_grad():
        made = model.generator(given).float()
    own = grid_share(given, given)
    assert grid_share(made, given) < own + INVISIBLE
    assert grid_share(with_grid(made, own + THERE), given) > own + INVISIBLE  # the control
