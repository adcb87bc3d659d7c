"""Pack prepared heads as small as they go, for a machine that files must be carried to.

    python -m benchmarks.gpu.pack_heads PREPARED PACKED

Each ``head_NN.npz`` is written anew with LZMA in place of deflate, which numpy reads as well: about
two thirds of the size, at half a minute a head.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path


def repack(path: Path, to: Path) -> None:
    """Write the same arrays with LZMA."""
    with (
        zipfile.ZipFile(path) as given,
        zipfile.ZipFile(to, "w", compression=zipfile.ZIP_LZMA) as packed,
    ):
        for name in given.namelist():
            packed.writestr(name, given.read(name))


def main() -> None:
    """Parse the arguments, pack all that is not packed yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path)
    parser.add_argument("packed", type=Path)
    given = parser.parse_args()
    given.packed.mkdir(parents=True, exist_ok=True)
    total = 0
    for path in sorted(given.prepared.glob("head_*.npz")):
        to = given.packed / path.name
        if not to.exists():
            temporary = to.with_suffix(".part")
            repack(path, temporary)
            temporary.rename(to)
        total += to.stat().st_size
        print(f"{to}: {to.stat().st_size / 2**20:.1f} MiB", flush=True)
    print(f"{total / 2**20:.1f} MiB in all")


if __name__ == "__main__":
    main()
