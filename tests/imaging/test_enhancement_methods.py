"""Methods as users write them."""

from __future__ import annotations

import pytest

from medcyclegan.cli.enhance_xray import METHODS as TOLD
from medcyclegan.errors import UsageError
from medcyclegan.imaging.enhancement import METHODS, Bilateral, Clahe, parse_step


def test_names_and_parameters_are_read() -> None:
    for name, kind in METHODS.items():
        assert parse_step(name) == kind()
    assert parse_step("clahe:clip_limit=0.02,tiles=4") == Clahe(tiles=4, clip_limit=0.02)
    assert parse_step("denoise-bilateral:sigma_value=1e-2") == Bilateral(sigma_value=0.01)
    assert tuple(METHODS) == TOLD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sharpen", "hist-eq, clahe"),
        ("clahe:limit=1", "clip_limit=0.01"),
        ("clahe:tiles=2.5", "whole number"),
        ("clahe:tiles", "whole number"),
        ("clahe:clip_limit=x", "number"),
        ("clahe:clip_limit=2", "0 to 1"),
        ("clahe:clip_limit=nan", "0 to 1"),
        ("unsharp:amount=-1", "above 0"),
        ("denoise-nlm:patch_px=0", "at least 1"),
        ("hist-eq:bins=1", "at least 2"),
    ],
)
def test_what_is_no_method_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_step(text)
