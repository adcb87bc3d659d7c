"""Generators: any size in and out, float32, norms as they claim to be, no checkerboard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.networks.generators import ConcatBlock
from medcyclegan.networks.layers import ChannelNorm, LevelHead, ShuffleUp, pad_to_multiple

KINDS = ("shuffle_unet", "resnet", "unet", "concat_unet")


def tiny(
    norm: str = "channel", *, depth: int = 3, seed: int = 0, kind: str = "shuffle_unet"
) -> nn.Module:
    torch.manual_seed(seed)
    config = GeneratorConfig.model_validate({"kind": kind, "widths": (4, 6), "norm": norm})
    return make_generator(config, depth=depth).eval().requires_grad_(False)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (5, 7), (16, 9), (33, 31), (1, 40)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_size_comes_out_as_it_went_in(size: tuple[int, int], kind: str) -> None:
    for depth in (1, 3, 5):
        out = tiny(depth=depth, kind=kind)(noise(2, depth, *size))
        assert out.shape == (2, depth, *size)
        assert out.dtype == torch.float32
        assert out.isfinite().all()


def test_the_default_config_and_deeper_ones() -> None:
    assert make_generator(GeneratorConfig(), depth=5).multiple == 16
    config = GeneratorConfig(widths=(4, 4, 4), blocks=2)
    assert make_generator(config, depth=1)(noise(1, 1, 10, 11)).shape == (1, 1, 10, 11)


def test_the_output_is_float32_under_autocast_but_the_inside_is_not() -> None:
    generator = tiny()
    seen: list[torch.dtype] = []
    generator.stem.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert generator(noise(1, 3, 8, 8)).dtype == torch.float32
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize("kind", ["shuffle_unet", "unet"])
@pytest.mark.parametrize(("norm", "stays"), [("channel", True), ("instance", False)])
def test_air_far_away_changes_nothing_with_channel_norm(norm: str, stays: bool, kind: str) -> None:
    generator = tiny(norm, kind=kind)
    image = noise(1, 3, 128, 128)
    padded = torch.full((1, 3, 160, 160), -1.0)
    padded[..., 16:144, 16:144] = image
    alone, amid_air = generator(image), generator(padded)[..., 16:144, 16:144]
    apart = float((alone - amid_air)[..., 62:66, 62:66].abs().max())
    assert (apart < 1e-5) is stays, apart


def test_a_shift_by_whole_blocks_shifts_the_output() -> None:
    generator = tiny()
    image = torch.full((1, 3, 192, 192), -1.0)
    image[..., 88:104, 88:104] = noise(1, 3, 16, 16)
    step = generator.multiple
    moved = generator(image.roll((step, step), (-2, -1))).roll((-step, -step), (-2, -1))
    middle = (..., slice(80, 112), slice(80, 112))
    torch.testing.assert_close(moved[middle], generator(image)[middle], rtol=0.0, atol=1e-5)


def test_slabs_of_a_batch_do_not_touch_each_other() -> None:
    generator = tiny()
    batch = noise(3, 3, 12, 12)
    torch.testing.assert_close(generator(batch)[1:2], generator(batch[1:2]), rtol=0.0, atol=1e-5)


def checkerboard(up: ShuffleUp) -> float:
    """Largest difference inside the 2 x 2 pixels that one pixel became."""
    out = up(noise(1, 6, 8, 8))
    blocks = out.unfold(2, 2, 2).unfold(3, 2, 2)
    return float((blocks - blocks[..., :1, :1]).abs().max())


@pytest.mark.parametrize("kernel", [1, 3])
def test_no_checkerboard_at_first(kernel: int) -> None:
    up = ShuffleUp(6, 5, kernel=kernel).requires_grad_(False)
    assert up(noise(1, 6, 8, 9)).shape == (1, 5, 16, 18)
    assert up(noise(1, 6, 8, 8)).std() > 0.05
    assert checkerboard(up) == 0.0
    nn.init.normal_(up.conv.weight)  # the control: kernels that start out unequal
    assert checkerboard(up) > 0.1


def test_channel_norm_is_of_every_pixel_by_itself() -> None:
    norm = ChannelNorm(6)
    image = noise(2, 6, 4, 5) * 7.0 + 3.0
    out = norm(image)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(2, 4, 5), rtol=0.0, atol=1e-5)
    changed = image.clone()
    changed[0, :, 0, 0] += noise(6)
    difference = (norm(changed) - out).abs().amax(dim=1)
    assert difference[0, 0, 0] > 0.01
    assert int((difference > 0).sum()) == 1


def test_padding_repeats_the_edge_at_the_end() -> None:
    image = noise(1, 2, 5, 8)
    padded = pad_to_multiple(image, 4)
    assert padded.shape == (1, 2, 8, 8)
    assert torch.equal(padded[..., :5, :], image)
    assert torch.equal(padded[..., 7, :], image[..., 4, :])
    assert pad_to_multiple(padded, 4) is padded


def test_equal_seeds_give_equal_weights() -> None:
    image = noise(1, 3, 8, 8)
    assert torch.equal(tiny(seed=3)(image), tiny(seed=3)(image))
    assert not torch.equal(tiny(seed=3)(image), tiny(seed=4)(image))


def test_each_kind_is_another_network() -> None:
    assert len({type(tiny(kind=kind)) for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": ()},
        {"widths": (4,) * 8},
        {"widths": (2,)},
        {"blocks": 0},
        {"kind": "transformer"},
        {"levels": (0.5,)},
        {"levels": (0.5, -0.5)},
        {"levels": (0.5, 0.5)},
        {"levels": (-1.5, 0.0)},
        {"levels": (-1.0, 1.0), "kind": "resnet"},
        {"residual": True, "kind": "unet"},
        {"residual": True, "levels": (-1.0, 1.0)},
    ],
)
def test_a_generator_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        GeneratorConfig.model_validate(changes)


def test_a_concat_unet_stays_inside_the_range_and_the_others_do_not() -> None:
    loud = 100.0 * noise(1, 3, 16, 16)
    assert float(tiny(kind="concat_unet")(loud).abs().max()) <= 1.0
    assert float(tiny(kind="unet")(loud).abs().max()) > 1.0


def test_a_concat_block_sees_its_input_beside_the_second_convolution() -> None:
    block = ConcatBlock(4, 6, norm="channel").requires_grad_(False)
    x = noise(1, 4, 8, 8)
    joined: list[Tensor] = []
    block.fuse.register_forward_hook(lambda *args: joined.append(args[1][0]))
    assert block(x).shape == (1, 6, 8, 8)
    assert joined[0].shape == (1, 4 + 6, 8, 8)
    assert torch.equal(joined[0][:, :4], x)


LEVELS = (-1.0, -0.25, 0.5)


def test_a_level_head_gives_the_weighted_mean_of_its_levels() -> None:
    torch.manual_seed(0)
    head = LevelHead(6, 2, levels=LEVELS).requires_grad_(False)
    nn.init.normal_(head.up.conv.weight)
    features = noise(3, 6, 4, 5)
    logits = head.logits(features)
    assert logits.shape == (3, 2, 3, 8, 10)
    p = logits.double().exp() / logits.double().exp().sum(dim=2, keepdim=True)
    mean = sum(level * p[:, :, n] for n, level in enumerate(LEVELS))
    torch.testing.assert_close(head(features).double(), mean, rtol=0.0, atol=1e-5)
    # The control: levels in another order are another mean.
    assert float((sum(x * p[:, :, n] for n, x in enumerate(LEVELS[::-1])) - mean).abs().max()) > 0.1
    assert "levels" not in head.state_dict()  # they are on the card


def test_levels_bound_the_output_however_loud_the_input() -> None:
    config = GeneratorConfig(widths=(4, 6), levels=LEVELS)
    torch.manual_seed(0)
    generator = make_generator(config, depth=3).eval().requires_grad_(False)
    out = generator(1000.0 * noise(2, 3, 17, 16))
    assert out.shape == (2, 3, 17, 16)
    assert float(out.min()) >= -1.0
    assert float(out.max()) <= 0.5
    assert float(out.std()) > 0.05
    assert float(tiny()(1000.0 * noise(2, 3, 17, 16)).abs().max()) > 1.0  # the control


def test_a_residual_generator_starts_as_next_to_nothing() -> None:
    image = noise(2, 3, 17, 16)
    made = []
    for residual in (True, False):
        torch.manual_seed(0)
        config = GeneratorConfig(widths=(4, 6), residual=residual)
        made.append(make_generator(config, depth=3).eval().requires_grad_(False))
    correction = made[0](image) - image
    assert 0.0 < float(correction.abs().max()) < 0.05
    torch.testing.assert_close(correction, 0.01 * made[1](image), rtol=1e-3, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):  # the input itself is not rounded
        assert float((made[0](image) - image - correction).abs().max()) < 1e-3
