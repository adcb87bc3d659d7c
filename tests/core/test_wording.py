"""Numbers in sentences."""

from __future__ import annotations

import pytest

from medcyclegan.core.text import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 patients"), (1, "1 patient"), (2, "2 patients")]
)
def test_a_number_with_its_noun(number: int, said: str) -> None:
    assert counted(number, "patient") == said
