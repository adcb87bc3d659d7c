"""Earlier slabs beside fresh ones."""

from __future__ import annotations

import torch

from medcyclegan.training.batches import Replay
from medcyclegan.training.data.types import Sample


def batch(first: int, count: int = 2, size_px: int = 4) -> Sample:
    """Slabs that hold their number, in B its negative; even ones are pairs."""
    numbers = torch.arange(first, first + count)
    a = numbers.float()[:, None, None, None].expand(-1, 1, size_px, size_px)
    return Sample(a, -a, numbers % 2 == 0, torch.zeros(count, dtype=torch.bool))


def replay(times: int, capacity: int = 6) -> Replay:
    return Replay(times=times, capacity=capacity, device=torch.device("cpu"), seed=3)


def numbers_of(mixed: Sample) -> list[int]:
    return [int(x) for x in mixed.a[:, 0, 0, 0]]


def test_fresh_slabs_come_first_then_earlier_ones() -> None:
    some = replay(times=2)
    assert numbers_of(some.mix(batch(0))) == [0, 1]
    assert numbers_of(some.mix(batch(2)))[:2] == [2, 3]
    third = numbers_of(some.mix(batch(4)))
    assert third[:2] == [4, 5]
    assert sorted(third[2:]) == [0, 1, 2, 3]


def test_the_oldest_are_forgotten() -> None:
    some = replay(times=100)
    for first in range(0, 20, 2):
        held = set(numbers_of(some.mix(batch(first)))[2:])
        assert held == set(range(max(0, first - 6), first))


def test_sides_and_flags_stay_together() -> None:
    some = replay(times=3)
    for first in range(0, 12, 2):
        mixed = some.mix(batch(first))
        assert torch.equal(mixed.b, -mixed.a)
        assert [n % 2 == 0 for n in numbers_of(mixed)] == mixed.paired.tolist()


def test_another_size_empties_it() -> None:
    some = replay(times=2)
    some.mix(batch(0))
    assert numbers_of(some.mix(batch(2, size_px=8))) == [2, 3]


def test_the_draw_follows_the_seed() -> None:
    def drawn(seed: int) -> list[list[int]]:
        some = Replay(times=1, capacity=40, device=torch.device("cpu"), seed=seed)
        return [numbers_of(some.mix(batch(first))) for first in range(0, 20, 2)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
