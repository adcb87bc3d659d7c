"""Held-back cases, whole, as a validation takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from medcyclegan.training.data.case import Case
from medcyclegan.training.data.types import ValidationCase


class HeldBack(Sequence[ValidationCase]):
    """Pairs first, then the images of A and of B alone; each is unpacked when it is asked for."""

    def __init__(self, a: Sequence[Case], b: Sequence[Case], pairs: Sequence[Case]) -> None:
        self.cases = (*pairs, *a, *b)

    def __len__(self) -> int:
        return len(self.cases)

    @overload
    def __getitem__(self, index: int) -> ValidationCase: ...
    @overload
    def __getitem__(self, index: slice) -> list[ValidationCase]: ...
    def __getitem__(self, index: int | slice) -> ValidationCase | list[ValidationCase]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        case = self.cases[index]
        return ValidationCase(
            name=case.name,
            a=case.values("a"),
            b=case.values("b"),
            mask=case.body(),
            paired=case.meta.paired,
        )
