"""How much a synthetic CT changes when its MR changes in ways that must not matter.

    python -m benchmarks.check_invariance SCAN [SCAN ...]

Each scan is scaled by 3 with an offset, mirrored, stored in each of the 48 orders of its axes, and
padded with zeros. The table gives the mean absolute difference inside the body, in HU, from the
result of the scan as it is, brought to the same storage order. A mirrored head is another head:
what is compared there is the mirrored result.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcyclegan import load_model, read_scan, synthesize
from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.models.store import Model

PADDING_VOXELS = (7, 4, 9)
Back = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Changed = tuple[str, Volume, Back]


def reordered(volume: Volume) -> Iterator[Changed]:
    """Yield the volume in all 48 storage orders: the same voxels at the same places."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            flips = tuple(slice(None, None, sign) for sign in signs)
            shape = np.asarray(volume.geometry.shape)[list(order)]
            step = np.zeros((4, 4))
            step[3, 3] = 1.0
            for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
                step[source, axis] = sign
                step[source, 3] = 0 if sign == 1 else shape[axis] - 1
            geometry = Geometry(
                (int(shape[0]), int(shape[1]), int(shape[2])), volume.geometry.affine_ras @ step
            )
            voxels = np.ascontiguousarray(volume.voxels.transpose(order)[flips])
            inverse = tuple(int(axis) for axis in np.argsort(order))
            yield (
                f"order {order} {signs}",
                Volume(voxels, geometry, volume.unit),
                lambda hu, flips=flips, inverse=inverse: hu[flips].transpose(inverse),
            )


def padded(volume: Volume) -> Changed:
    """Add zeros on all sides; the head stays where it is in space."""
    pads = [(n, n + 1) for n in PADDING_VOXELS]
    step = np.eye(4)
    step[:3, 3] = [-n for n in PADDING_VOXELS]
    voxels = np.pad(volume.voxels, pads)
    shape = (voxels.shape[0], voxels.shape[1], voxels.shape[2])
    inner = tuple(slice(before, -after) for before, after in pads)
    geometry = Geometry(shape, volume.geometry.affine_ras @ step)
    return "padded with zeros", Volume(voxels, geometry, volume.unit), lambda hu: hu[inner]


def changes(volume: Volume) -> Iterator[Changed]:
    """Yield all that must not matter."""
    offset = np.float32(0.1 * volume.voxels.max())
    yield "times 3, plus an offset", volume.with_voxels(volume.voxels * 3.0 + offset), lambda x: x
    mirror = np.ascontiguousarray(volume.voxels[::-1])
    yield "first axis mirrored", volume.with_voxels(mirror), lambda hu: hu[::-1]
    yield padded(volume)
    yield from reordered(volume)


def differences(path: Path, model: Model) -> Iterator[tuple[str, float]]:
    """Yield what was changed and the mean absolute difference in HU."""
    volume = read_scan(path, modality="MR").volume
    plain = synthesize(Scan(volume, ItkSourceHeader(), path, "MR"), model)
    body = plain.body.voxels > 0
    for name, changed, back in changes(volume):
        other = synthesize(Scan(changed, ItkSourceHeader(), path, "MR"), model).image.voxels
        yield name, float(np.abs(back(other) - plain.image.voxels)[body].mean())


def main() -> None:
    """Parse the arguments, convert, print the largest difference of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--model", default="head-mr-ct")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    for path in arguments.scans:
        worst: dict[str, float] = {}
        for name, difference in differences(path, model):
            kind = "48 storage orders" if name.startswith("order") else name
            worst[kind] = max(worst.get(kind, 0.0), difference)
        for kind, difference in worst.items():
            print(f"| {path.name} | {kind} | {difference:.2f} |", flush=True)


if __name__ == "__main__":
    main()
