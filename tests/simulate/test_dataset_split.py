"""No subject and no head is in two groups."""

from __future__ import annotations

import pytest

from medcyclegan.errors import UsageError
from medcyclegan.simulate.datasets import Split, deal_heads, split_subjects


@pytest.mark.parametrize("count", [3, 4, 7, 12, 101])
def test_groups_share_no_subject_and_miss_none(count: int) -> None:
    split = split_subjects(count)
    groups = [set(split.train_a), set(split.train_b), set(split.test)]
    assert set.union(*groups) == set(range(1, count + 1))
    assert sum(map(len, groups)) == count
    assert min(map(len, groups)) >= 1
    assert abs(len(groups[0]) - len(groups[1])) <= 1
    assert len(groups[2]) == max(1, count // 4)
    paired = split_subjects(count, paired=True)
    assert paired.train_a == paired.train_b  # the control: here they share all
    assert not set(paired.train_a) & set(paired.test)


def test_sides_say_which_images_are_written() -> None:
    assert split_subjects(4).sides == {1: "a", 2: "a", 3: "b", 4: "ab"}
    assert set(split_subjects(4, paired=True).sides.values()) == {"ab"}
    assert split_subjects(5, test=2).test == (4, 5)


@pytest.mark.parametrize(("count", "test"), [(2, None), (3, 2), (5, 5)])
def test_too_few_subjects_are_refused(count: int, test: int | None) -> None:
    with pytest.raises(UsageError, match="at least one subject each"):
        split_subjects(count, test=test)


@pytest.mark.parametrize("heads", [3, 5, 16])
def test_groups_share_no_head(heads: int) -> None:
    split = split_subjects(40)
    dealt = deal_heads(split, heads)
    used = [{dealt[n - 1] for n in group} for group in (split.train_a, split.train_b, split.test)]
    assert sum(map(len, used)) == len(set.union(*used)) == heads
    assert set(dealt) == set(range(heads))


def test_too_few_heads_are_refused() -> None:
    with pytest.raises(UsageError):
        deal_heads(Split((1,), (2,), (3,)), 2)
