"""The pool of fakes: what goes in comes out, half of it late, and it can be resumed."""

from __future__ import annotations

import torch
from torch import Tensor

from medcyclegan.training.engines.image_pool import FakePool

CPU = torch.device("cpu")


def fake(number: int) -> Tensor:
    """One slab with its number in every pixel."""
    return torch.full((1, 1, 2, 2), float(number))


def given(pool: FakePool, numbers: range) -> list[int]:
    return [int(pool.exchange(fake(number))[0, 0, 0, 0]) for number in numbers]


def test_the_first_fakes_come_back_at_once_and_later_ones_are_mixed() -> None:
    pool = FakePool(size=50, seed=1)
    assert given(pool, range(50)) == list(range(50))
    out = given(pool, range(50, 1050))
    at_once = sum(number == place for place, number in enumerate(out, start=50))
    assert 420 < at_once < 580  # half of 1000, within five standard deviations
    assert len(set(out)) == len(out)  # nothing is given twice
    kept = {int(slab[0, 0, 0]) for slab in pool.state()["kept"]}
    assert set(out) | kept == set(range(1050))  # and nothing is lost
    assert len(kept) == 50


def test_a_pool_of_none_gives_back_what_it_gets() -> None:
    assert given(FakePool(size=0, seed=1), range(100)) == list(range(100))


def test_no_gradient_comes_through_and_kept_fakes_do_not_change() -> None:
    pool = FakePool(size=1, seed=1)
    first = fake(1).requires_grad_()
    assert not pool.exchange(first).requires_grad
    with torch.no_grad():
        first.fill_(9.0)
    assert float(pool.state()["kept"][0].max()) == 1.0


def test_it_has_random_numbers_of_its_own() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    out = given(FakePool(size=3, seed=1), range(40))
    assert torch.equal(torch.get_rng_state(), before)
    assert given(FakePool(size=3, seed=1), range(40)) == out
    assert given(FakePool(size=3, seed=2), range(40)) != out


def test_a_resumed_pool_goes_on_as_it_would_have() -> None:
    pool, resumed = FakePool(size=4, seed=1), FakePool(size=4, seed=99)
    given(pool, range(30))
    resumed.restore(pool.state(), CPU)
    assert given(pool, range(30, 90)) == given(resumed, range(30, 90))
    forgetful = FakePool(size=4, seed=1)
    given(pool2 := FakePool(size=4, seed=1), range(30))
    assert given(pool2, range(30, 90)) != given(forgetful, range(30, 90))
