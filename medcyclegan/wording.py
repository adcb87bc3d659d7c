"""How numbers are put into sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return ``1 patient``, ``2 patients``: a number with its noun, whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
