"""Contrastive translation: its loss by hand, what it learns, what it leaves alone."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from medcyclegan.training.checkpoint import TrainState
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Moment
from medcyclegan.training.engines.contrastive import Contrastive, patch_nce_loss
from medcyclegan.training.parallel import Crew
from tests.training.tiny_training import fresh, shapes, tiny_config, to_b


def batch(*numbers: int) -> Sample:
    """Shapes and, of other bodies, what side b is."""
    a = torch.stack([shapes(number) for number in numbers])
    b = torch.stack([to_b(shapes(1000 + number)) for number in numbers])
    flags = torch.zeros(len(numbers), dtype=torch.bool)
    return Sample(a, b, flags, flags)


def config(**changes: object) -> TrainConfig:
    return tiny_config(engine="contrastive", **changes)


def step(state: TrainState, part: Sample, *, share: float = 0.5) -> dict[str, float]:
    losses = state.engine.step([part], Moment(state.step, share, 1.0), Crew())
    state.step += 1
    return {name: float(loss) for name, loss in losses.items()}


def test_the_loss_is_least_where_each_place_is_most_like_itself() -> None:
    axes = torch.eye(4)[None]
    found = float(patch_nce_loss(axes, axes, temperature=1.0))
    assert found == pytest.approx(-1.0 + math.log(math.e + 3.0))
    assert float(patch_nce_loss(axes, axes, temperature=0.07)) < 1e-4
    mixed = axes[:, [1, 0, 3, 2]]
    assert float(patch_nce_loss(axes, mixed, temperature=1.0)) == pytest.approx(found + 1.0)
    alike = axes[:, :1].expand(1, 4, 4)
    assert float(patch_nce_loss(axes, alike, temperature=0.07)) == pytest.approx(math.log(4.0))
    # items are not compared with each other
    two = torch.cat([axes, mixed])
    assert float(patch_nce_loss(two, two, temperature=1.0)) == pytest.approx(found)


def test_a_step_has_the_losses_asked_for_and_changes_every_network() -> None:
    state = fresh(config())
    before = {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in state.engine.networks().items()
    }
    found = step(state, batch(0, 1))
    assert list(state.engine.loss_names()) == [
        "adversarial", "patch_nce", "identity", "generator", "discriminator_b",
    ]  # fmt: skip
    assert set(found) == set(state.engine.loss_names())
    total = found["adversarial"] + found["patch_nce"] + found["identity"]
    assert found["generator"] == pytest.approx(total, rel=1e-5)
    for name, network in state.engine.networks().items():
        after = network.state_dict()
        assert any(not torch.equal(after[key], value) for key, value in before[name].items()), name


def test_fast_cut_has_no_identity_and_a_warm_up_no_discriminator() -> None:
    fast = config(patch_nce=10.0, identity=0.0, warmup_share=0.5)
    state = fresh(fast)
    assert set(step(state, batch(0), share=0.2)) == {"patch_nce", "generator"}
    found = step(state, batch(0), share=0.6)
    assert set(found) == {"adversarial", "patch_nce", "generator", "discriminator_b"}
    expected = found["adversarial"] + 10.0 * found["patch_nce"]
    assert found["generator"] == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_is_not_moved_by_the_generators_loss() -> None:
    gradients = []
    for weight in (1e-6, 1.0):
        state = fresh(config(adversarial=weight))
        step(state, batch(0, 1))
        assert isinstance(state.engine, Contrastive)
        gradients.append([w.grad for w in state.engine.judge.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_it_learns_the_values_of_b_and_keeps_the_places_of_a() -> None:
    state = fresh(config(generator_rate=3e-3, discriminator_rate=3e-3))
    losses = [step(state, batch(2 * n, 2 * n + 1))["patch_nce"] for n in range(150)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    with torch.no_grad():
        a = torch.stack([shapes(5000 + n) for n in range(8)])
        fake = state.engine.exported()["a-to-b"](a)
        untrained = fresh(config()).engine.exported()["a-to-b"](a)
    wanted = to_b(a)

    def like(image: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack([image.flatten(), a.flatten()]))[0, 1])

    off = [abs(float(image.mean() - wanted.mean())) for image in (fake, untrained)]
    assert off[0] < 0.5 * off[1]
    assert abs(like(fake)) > abs(like(untrained)) + 0.2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch_nce": 0.0}, "nothing keeps the anatomy"),
        ({"generator": {"kind": "resnet", "widths": (4,)}}, "needs generator.kind shuffle_unet"),
        ({"warmup_share": 1.0}, "less than 1"),
        ({"discriminator": {"width": 4, "layers": 3}}, r"size_px 16 is below 32"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        config(**changes)
