"""Draw the published curves of ``medcyclegan derive``.

python -m benchmarks.plot_derive_curves OUT.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from medcyclegan.imaging.hu_curves import (
    CARNEY_2006,
    HIGHEST_HU,
    LOWEST_HU,
    Curve,
    carney_2006,
    schneider_2000,
)

_AROUND_SOFT_TISSUE_HU = (-150.0, 200.0)


def draw(path: Path) -> None:
    """Write the plot: each quantity over all HU, and around soft tissue."""
    rows = (
        ("attenuation at 511 keV (1/cm)", [carney_2006(kvp) for kvp in CARNEY_2006]),
        ("mass density (g/cm³)", [schneider_2000()]),
    )
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 6.4), layout="constrained")
    for (label, curves), (whole, near) in zip(rows, axes, strict=True):
        for curve in curves:
            _plot(whole, curve, LOWEST_HU, HIGHEST_HU)
            _plot(near, curve, *_AROUND_SOFT_TISSUE_HU)
        whole.set_ylabel(label)
        whole.set_xticks(range(-1000, 3001, 1000))
        whole.legend(frameon=False, fontsize=8)
        for axis in (whole, near):
            axis.grid(alpha=0.3)
            axis.set_xlabel("HU")
    figure.savefig(path, dpi=110)


def _plot(axis: plt.Axes, curve: Curve, low_hu: float, high_hu: float) -> None:
    """Draw the pieces of a curve, with gaps where it jumps."""
    color = None
    for start, end in zip(curve.edges_hu[:-1], curve.edges_hu[1:], strict=True):
        first, last = max(start, low_hu), min(end, high_hu)
        if first >= last:
            continue
        inside = np.array([np.nextafter(first, last), last])
        label = None if color else curve.name
        (line,) = axis.plot(inside, curve.at(inside), lw=1.4, color=color, label=label)
        color = line.get_color()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
