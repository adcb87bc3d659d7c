"""Damage that knows the fields of a NIfTI header and the chain of its extensions."""

from __future__ import annotations

import gzip
import zlib
from random import Random

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from tests.fuzz.mutate_bytes import mutate_bytes

_HEADERS = {348: Nifti1Header, 540: Nifti2Header}
_ODD_FLOATS = (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-45, 1e-38, 1e38, -1e38, 1e300)
_ODD_FLOATS += (352.0, 351.9, 1e-3, 1e3, 0.99999)
_ODD_COUNTS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 64, 128, 256, 512, 1024, 1280, 2304, 32767, -1)
_ODD_COUNTS += (-32768, 2**31 - 1, -(2**31), 2**62, -(2**63))


def mutate_nifti(rng: Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """Damage one file of an input: its packed bytes, its bytes, or fields of its header."""
    name = rng.choice(sorted(files))
    data = files[name]
    if rng.random() < 0.3:
        return {**files, name: mutate_bytes(rng, data)}
    packed = data[:2] == b"\x1f\x8b"
    inner = gzip.decompress(data) if packed else data
    mutate = _mutate_fields if rng.random() < 0.8 else mutate_bytes
    inner = mutate(rng, inner)
    if packed or rng.random() < 0.05:
        inner = zlib.compress(inner, rng.choice((0, 1)), 31)
    return {**files, name: inner}


def _mutate_fields(rng: Random, data: bytes) -> bytes:
    for order in ("little", "big"):
        size = int.from_bytes(data[:4], order)
        if size in _HEADERS and len(data) >= size:
            header = _HEADERS[size](data[:size], "<" if order == "little" else ">", False)
            for _ in range(rng.choice((1, 1, 2, 3, 6))):
                _set_field(rng, header)
            tail = data[size:]
            if rng.random() < 0.15:
                tail = mutate_bytes(rng, tail)
            return header.binaryblock + tail
    return mutate_bytes(rng, data)


def _set_field(rng: Random, header: Nifti1Header) -> None:
    field = rng.choice(header.keys())
    values = header[field]
    flat = values.reshape(-1).copy()
    at = rng.randrange(flat.size)
    with np.errstate(all="ignore"):
        if flat.dtype.kind == "f":
            flat[at] = np.float64(rng.choice(_ODD_FLOATS)).astype(flat.dtype)
        elif flat.dtype.kind in "iu":
            flat[at] = np.array(rng.choice(_ODD_COUNTS), dtype=np.int64).astype(flat.dtype)
        else:
            flat[at] = rng.choice((b"", b"n+1", b"ni1", b"\xff\xfe", b"n+1\x00junk"))
    header[field] = flat.reshape(values.shape)
