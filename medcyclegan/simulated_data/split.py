"""Which subject, and which head, is for training on either side and which for tests."""

from __future__ import annotations

from dataclasses import dataclass

from medcyclegan.errors import UsageError
from medcyclegan.wording import counted


@dataclass(frozen=True)
class Split:
    """Numbers of the subjects, from 1: no one is in two groups, but for paired training."""

    train_a: tuple[int, ...]
    train_b: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def sides(self) -> dict[int, str]:
        """For every subject which of its images are written: ``"a"``, ``"b"`` or both."""
        both = set(self.test) | (set(self.train_a) & set(self.train_b))
        everyone = sorted({*self.train_a, *self.train_b, *self.test})
        return {n: "ab" if n in both else "a" if n in self.train_a else "b" for n in everyone}


def split_subjects(count: int, *, test: int | None = None, paired: bool = False) -> Split:
    """Divide subjects 1 to ``count``: those for tests, a quarter if not given, come last.

    The others are divided between A and B, or with ``paired`` belong to both.

    Raises
    ------
    UsageError
        If a group would be empty.
    """
    tests = max(1, count // 4) if test is None else test
    trained = range(1, count - tests + 1)
    if tests < 1 or len(trained) < (1 if paired else 2):
        raise UsageError(
            f"{counted(count, 'subject')}, {tests} of them for tests",
            rule="training on each side and tests need at least one subject each",
            remedy="ask for more subjects",
        )
    held_back = tuple(range(len(trained) + 1, count + 1))
    if paired:
        return Split(tuple(trained), tuple(trained), held_back)
    half = (len(trained) + 1) // 2
    return Split(tuple(trained[:half]), tuple(trained[half:]), held_back)


def deal_heads(split: Split, heads: int) -> tuple[int, ...]:
    """Return for subject n, at n - 1, which of ``heads`` heads it is; groups share no head.

    Raises
    ------
    UsageError
        If there are too few heads.
    """
    paired = split.train_a == split.train_b
    shares = split_subjects(heads, paired=paired)
    dealt: dict[int, int] = {}
    for subjects, numbers in (
        (split.train_a, shares.train_a),
        (split.train_b, shares.train_b),
        (split.test, shares.test),
    ):
        for place, subject in enumerate(subjects):
            dealt[subject] = numbers[place % len(numbers)] - 1
    return tuple(dealt[subject] for subject in sorted(dealt))
