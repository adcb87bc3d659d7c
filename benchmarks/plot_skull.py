"""Draw the thickness of the vault over a CT of a head, as ``derive --to skull`` finds it.

python -m benchmarks.plot_skull CT.nii.gz OUT.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from medcyclegan.evaluation.views import in_viewing_order, viewed_spacing_mm
from medcyclegan.imaging.skull import find_skull
from medcyclegan.io.read import read_scan

# Across which axis of the viewing order (left, back, feet), and where: an axial slice of the vault.
_PLANES = ((2, 0.38, "axial"), (1, 0.5, "coronal"), (0, 0.5, "sagittal"))


def draw(source: Path, to: Path) -> None:
    """Write three planes of the CT with the thickness in colour."""
    ct = read_scan(source, modality="CT").volume
    skull = find_skull(ct)
    hu, thick = in_viewing_order(ct), in_viewing_order(skull.thickness)
    spacing_mm = viewed_spacing_mm(ct)
    figure, axes = plt.subplots(1, 3, figsize=(10.0, 3.8), layout="constrained")
    for panel, (axis, share, name) in zip(axes, _PLANES, strict=True):
        index = int(share * hu.shape[axis])
        across, down = (mm for other, mm in enumerate(spacing_mm) if other != axis)
        plane, depth = (np.take(one, index, axis=axis).T for one in (hu, thick))
        look = {"aspect": down / across, "interpolation": "nearest"}
        panel.imshow(plane, cmap="gray", vmin=-400, vmax=1500, **look)
        shown = panel.imshow(
            np.ma.masked_where(depth <= 0, depth), cmap="viridis", vmin=2, vmax=12, **look
        )
        panel.set_title(name)
        panel.set_axis_off()
    figure.colorbar(shown, ax=axes, label="thickness of the vault (mm)", shrink=0.8)
    figure.savefig(to, dpi=90)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
