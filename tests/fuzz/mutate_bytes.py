"""Damage that knows nothing of the format: flips, cuts, swaps, insertions, odd numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

Mutation = Callable[[Random, bytes], bytes]

# Where counters, signs and sizes overflow.
ODD_INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
ODD_INTEGERS += (0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Damage ``data`` in one to four ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(rng, data)
    return data


def _flip_bits(rng: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if damaged else 0):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _set_byte(rng: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    if damaged:
        damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x5C, 0x20))
    return bytes(damaged)


def _cut_off(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 16, 100, 500)))


def _leave_out(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]


def _swap(rng: Random, data: bytes) -> bytes:
    (a, b), (c, d) = sorted((_span(rng, data), _span(rng, data)))
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    count = rng.choice((1, 2, 4, 64, 4096))
    extra = rng.choice((bytes(count), b"\xff" * count, rng.randbytes(count)))
    return data[:at] + extra + data[at:]


def _set_integer(rng: Random, data: bytes) -> bytes:
    """Put an odd number where a length might stand."""
    number = rng.choice(ODD_INTEGERS)
    packed = struct.pack(rng.choice("<>") + rng.choice("IH"), number & 0xFFFF)
    if len(packed) == 4:
        packed = struct.pack(rng.choice("<>") + "I", number)
    at = rng.randrange(len(data) + 1)
    return data[:at] + packed + data[at + len(packed) :]


MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _set_byte,
    _cut_off,
    _leave_out,
    _repeat,
    _swap,
    _insert,
    _set_integer,
)
