"""Which images of the two sides show the same anatomy: matched by name, as ``evaluate`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from medcyclegan.errors import InputRefused
from medcyclegan.training.data.inputs import Input, shown


@dataclass(frozen=True, eq=False)
class Matched:
    """Pairs, and the inputs of either side that are in none.

    ``unclear`` names the cases that both sides have and one of them more than once.
    """

    pairs: tuple[tuple[Input, Input], ...]
    a: tuple[Input, ...]
    b: tuple[Input, ...]
    unclear: tuple[str, ...] = ()

    def said(self) -> tuple[str, ...]:
        """What is to be told of those that are in no pair."""
        if not self.pairs or not (self.a or self.b):
            return ()
        parts = [
            f"{len(rest)} of {len(rest) + len(self.pairs)} inputs of {side} have no partner "
            f"({shown([found.name for found in rest])})"
            for side, rest in (("A", self.a), ("B", self.b))
            if rest
        ]
        unclear = f" Several inputs of one case: {shown(self.unclear)}." if self.unclear else ""
        return (f"Pairs by name: {len(self.pairs)}; {' and '.join(parts)}.{unclear}",)


def match(a: Sequence[Input], b: Sequence[Input]) -> Matched:
    """Pair inputs of the same name, and of the rest those of the same case.

    The case is the name without words that tell the kind of image, and without endings:
    ``P01_mr`` and ``ct_P01`` are both of ``P01``. A name that a side has more than once makes no
    pair.
    """
    pairs: list[tuple[Input, Input]] = []
    rest_a, rest_b = list(a), list(b)
    for key in (_name, _case):
        found = _by(key, rest_a, rest_b)
        pairs += found
        taken = {id(one) for pair in found for one in pair}
        rest_a = [one for one in rest_a if id(one) not in taken]
        rest_b = [one for one in rest_b if id(one) not in taken]
    both = {one.case for one in rest_a} & {one.case for one in rest_b}
    return Matched(tuple(pairs), tuple(rest_a), tuple(rest_b), tuple(sorted(both)))


def refuse_no_pair(matched: Matched) -> None:
    """Refuse data of which pairs were asked for and none was found.

    Raises
    ------
    InputRefused
        With the names that come nearest to each other.
    """
    if matched.pairs:
        return
    lines = [f"Not one pair among {len(matched.a)} inputs of A and {len(matched.b)} of B"]
    if matched.unclear:
        lines.append(f"a side has several inputs of {shown(matched.unclear)}")
    cases = sorted({one.case for one in matched.b})
    for one in matched.a[:3]:
        near = get_close_matches(one.case, cases, n=1, cutoff=0.0)
        if near and near[0] != one.case:
            lines.append(f"{one.name} of A is {one.case}, and the nearest of B is {near[0]}")
    raise InputRefused(
        "\n  ".join(lines)
        + "\nImages are a pair if their names are the same without endings and words such as mr, "
        "ct, sct or t1, and one on each side has this name",
        remedy="name them alike, choose by data.a.channels, list them in a table, or set "
        "data.pairs=none",
    )


def _name(found: Input) -> str:
    return found.name


def _case(found: Input) -> str:
    return found.case


def _by(
    key: Callable[[Input], str], a: Sequence[Input], b: Sequence[Input]
) -> list[tuple[Input, Input]]:
    """Pairs of those that are alone of their key on each side."""
    counts_a, counts_b = Counter(map(key, a)), Counter(map(key, b))
    partners = {key(one): one for one in b if counts_b[key(one)] == 1}
    alone = [one for one in a if counts_a[key(one)] == 1]
    return [(one, partners[key(one)]) for one in alone if key(one) in partners]
