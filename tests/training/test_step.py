"""One step: schedule, moving average, clipping, parts of a batch, precision."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from medcyclegan.training.checkpoint import TrainState
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Losses, Moment, MovingAverage
from medcyclegan.training.parallel import Crew
from tests.training.tiny_training import (
    Shapes,
    differing,
    fresh,
    gan_of,
    numbers_of,
    tiny_config,
)


def batch(*items: int) -> Sample:
    samples = [Shapes(pair_every=2)[item] for item in items]
    return Sample(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def train_step(state: TrainState, parts: Sequence[Sample], config: TrainConfig) -> Losses:
    """One step as the loop does it."""
    share = state.step / config.steps
    losses = state.engine.step(parts, Moment(state.step, share, config.rate_factor(share)), Crew())
    state.step += 1
    return losses


def stepped(config: TrainConfig, *parts: Sample, steps: int = 1) -> TrainState:
    state = fresh(config)
    for _ in range(steps):
        train_step(state, parts, config)
    return state


def largest_difference(one: TrainState, other: TrainState) -> float:
    """Of the gradients of the generators, from Adam's moments after one step."""
    ours, theirs = numbers_of(one), numbers_of(other)
    return max(
        float((ours[name].float() - theirs[name].float()).abs().max())
        for name in ours
        if name.startswith("optimisers.generators") and name.endswith("exp_avg")
    )


def test_rates_are_constant_then_fall_linearly_to_0() -> None:
    made = tiny_config(steps=10, decay_from=0.6)
    factors = [made.rate_factor(step / 10) for step in range(11)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    state = fresh(made)
    used = []
    for _ in range(10):
        train_step(state, [batch(0)], made)
        used.append(gan_of(state).generator_optimiser.param_groups[0]["lr"])
    assert used == pytest.approx([1e-2 * factor for factor in factors[:10]])


def test_the_average_follows_the_formula_and_forgets_faster_at_first() -> None:
    weight = torch.nn.Linear(1, 1, bias=False)
    average = MovingAverage(weight, decay=0.5)
    expected = None
    for count, value in enumerate((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)):
        torch.nn.init.constant_(weight.weight, value)
        average.update(weight)
        decay = min(0.5, (1 + count) / (10 + count))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert float(average.module.weight.detach()) == pytest.approx(expected)
    assert not any(parameter.requires_grad for parameter in average.module.parameters())


def test_a_step_changes_every_network_and_returns_every_loss() -> None:
    made = tiny_config()
    new, state = fresh(made), fresh(made)
    assert differing(new, state) == []
    losses = train_step(state, [batch(0, 1)], made)
    assert set(losses) == {
        "adversarial", "cycle", "identity", "structure", "gradient", "paired_l1", "generator",
        "discriminator_a", "discriminator_b",
    }  # fmt: skip
    assert state.step == 1
    before, after = numbers_of(new), numbers_of(state)
    for name in ("a-to-b", "b-to-a", "discriminator_a", "discriminator_b"):
        own = [n for n in before if n.startswith(f"networks.{name}.")]
        assert any(not torch.equal(before[n], after[n]) for n in own)


START = {"adversarial": 0, "cycle": 0, "identity": 0, "structure": 1, "matched": 2}


def matched(*items: int) -> Sample:
    """A batch without pairs whose first item is matched."""
    plain = batch(*(2 * item + 1 for item in items))
    return plain._replace(matched=torch.arange(len(items)) == 0)


def test_the_warm_up_has_losses_of_its_own_and_leaves_discriminators_alone() -> None:
    made = tiny_config(warmup={"share": 2 / 6, "losses": START})
    state = fresh(made)
    found = []
    for _ in range(3):
        before = {name: value.clone() for name, value in numbers_of(state).items()}
        losses = train_step(state, [matched(0, 1)], made)
        after = numbers_of(state)
        changed = {n.split(".")[1] for n in before if not torch.equal(before[n], after[n])}
        found.append((set(losses), "discriminator_b" in changed, "a-to-b" in changed))
    assert found[0] == found[1] == ({"structure", "matched", "generator"}, False, True)
    later = {
        "adversarial", "cycle", "identity", "structure", "gradient", "paired_l1", "generator",
        "discriminator_a", "discriminator_b",
    }  # fmt: skip
    assert found[2] == (later, True, True)
    assert state.engine.loss_names() == [
        "adversarial", "cycle", "identity", "structure", "gradient", "paired_l1", "matched",
        "generator", "discriminator_b", "discriminator_a",
    ]  # fmt: skip


def test_a_batch_in_parts_is_the_same_step() -> None:
    made = tiny_config(pool_size=0)
    whole = stepped(made, batch(0, 1, 2, 3))
    parts = stepped(made, batch(0, 1), batch(2, 3))
    assert largest_difference(whole, parts) < 1e-6
    # The controls: half of the batch is another step, and so is one without pairs.
    assert largest_difference(whole, stepped(made, batch(0, 1))) > 1e-4


def test_gradients_are_clipped() -> None:
    # After clipping to almost nothing, Adam's first moment is that small.
    state = stepped(tiny_config(clip_norm=1e-6), batch(0, 1))
    for optimiser in gan_of(state).optimisers().values():
        moments = [slot["exp_avg"] for slot in optimiser.state_dict()["state"].values()]
        norm = float(torch.cat([moment.flatten() for moment in moments]).norm()) / (1 - 0.5)
        assert norm == pytest.approx(1e-6, rel=1e-2)


def test_the_discriminators_learn_from_the_pool_not_from_the_generators_step() -> None:
    made = tiny_config(losses={"adversarial": 1e-9, "cycle": 1.0})
    state = fresh(made)
    train_step(state, [batch(0, 1)], made)
    gradients = [w.grad for d in gan_of(state).discriminators.values() for w in d.parameters()]
    weighed = tiny_config(losses={"adversarial": 1.0, "cycle": 1.0})
    alone = fresh(weighed)
    train_step(alone, [batch(0, 1)], weighed)
    others = [w.grad for d in gan_of(alone).discriminators.values() for w in d.parameters()]
    for one, other in zip(gradients, others, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other)


def test_without_adversarial_loss_there_is_no_discriminator() -> None:
    made = tiny_config(losses={"adversarial": 0.0, "cycle": 0.0, "identity": 0.0, "paired_l1": 1.0},
                       directions="a-to-b")  # fmt: skip
    state = stepped(made, batch(0, 2))
    assert list(state.engine.generators()) == ["a-to-b"]
    assert not gan_of(state).discriminators
    assert not gan_of(state).pools
    assert gan_of(state).discriminator_optimiser is None


@pytest.mark.parametrize(
    ("precision", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_networks_run_in_the_precision_asked_for(precision: str, kind: torch.dtype) -> None:
    made = tiny_config(precision=precision)
    state = fresh(made)
    seen: list[torch.dtype] = []
    generator = state.engine.generators()["a-to-b"]
    generator.stem.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    train_step(state, [batch(0)], made)
    assert set(seen) == {kind}
    assert {weight.dtype for weight in generator.parameters()} == {torch.float32}


def test_the_seed_fixes_the_first_weights() -> None:
    assert differing(fresh(tiny_config()), fresh(tiny_config())) == []
    assert differing(fresh(tiny_config()), fresh(tiny_config(seed=4))) != []


def test_spectral_norm_bounds_the_slope() -> None:
    plain = {"width": 4, "layers": 1, "norm": "none"}
    slopes = []
    for spectral in (True, False):
        made = tiny_config(discriminator={**plain, "spectral_norm": spectral})
        discriminator = gan_of(fresh(made)).discriminators["a"]
        for parameter in discriminator.parameters():
            torch.nn.init.normal_(parameter)
        for _ in range(30):  # each pass brings the estimate of the norm closer
            discriminator(batch(0, 1).a)
        x, y = batch(0, 1).a, batch(2, 3).a
        apart = (discriminator(x) - discriminator(y)).detach().norm() / (x - y).norm()
        slopes.append(float(apart))
    assert slopes[0] < 8.0 < slopes[1]
