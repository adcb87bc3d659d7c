"""Draw what each shipped model makes of the phantom's head: input, output, truth.

    python -m benchmarks.picture_models --out docs/images/models.png

The phantom is drawn by other code than the heads that the models were trained on. Nothing in the
picture is a scan of a person.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcyclegan import load_model, synthesize
from medcyclegan.core.volume import Volume
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.simulate.low_dose_ct import Exposure, scan_twice
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom

SUBJECT = 3
SPACING_MM = 1.4
AXIAL_MM, SAGITTAL_MM = (-20.0, 30.0), 6.0
HU, BRAIN_HU = (-500.0, 1500.0), (-100.0, 180.0)
LOW_DOSE = Exposure(dose=0.1)
DOTS_PER_INCH = 70


@dataclass(frozen=True, eq=False)
class Row:
    """Input, output and truth of a model, and the values shown from black to white."""

    model: str
    images: tuple[Volume, Volume, Volume]
    windows: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def rows() -> Iterator[Row]:
    """Translate the phantom with every shipped model."""
    grid = default_geometry(SPACING_MM)
    t1, t2 = (make_phantom(grid, contrast=name, seed=SUBJECT) for name in ("t1", "t2"))
    low, full = scan_twice(
        t1.ct.voxels,
        grid.spacing_mm[0],
        LOW_DOSE,
        rngs=(np.random.default_rng(1), np.random.default_rng(2)),
    )
    cases = (
        ("head-mr-ct", t1.mr, t1.ct, "MR"),
        ("head-ct-mr", t1.ct, t1.mr, "CT"),
        ("head-t1-t2", t1.mr, t2.mr, "MR"),
        ("head-t2-t1", t2.mr, t1.mr, "MR"),
        ("ct-denoise", t1.ct.with_voxels(low), t1.ct.with_voxels(full), "CT"),
    )
    for name, source, truth, modality in cases:
        made = synthesize(
            Scan(source, ItkSourceHeader(), Path(name), modality), load_model(name)
        ).image
        images = (source, made, truth)
        yield Row(name, images, tuple(window_of(image, name) for image in images))  # type: ignore[arg-type]


def window_of(image: Volume, model: str) -> tuple[float, float]:
    """What is shown from black to white: HU, or signal up to the brightest tissue."""
    if image.unit == "HU":
        return BRAIN_HU if model == "ct-denoise" else HU
    return 0.0, float(np.percentile(image.voxels, 99.5))


def planes(image: Volume) -> list[NDArray[np.float32]]:
    """Two axial slices and a sagittal one, as radiology shows them; the grid is along R, A, S."""
    origin, spacing = image.geometry.affine_ras[:3, 3], image.geometry.spacing_mm
    axial = [round((mm - origin[2]) / spacing[2]) for mm in AXIAL_MM]
    sagittal = round((SAGITTAL_MM - origin[0]) / spacing[0])
    return [
        *(np.flip(image.voxels[:, :, k].T) for k in axial),
        np.flip(image.voxels[sagittal].T),
    ]


def draw(found: list[Row]) -> Figure:
    """A row a model: three planes of the input, of the output and of the truth."""
    figure = Figure((18.0, 2.6 * len(found)), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(found), 9)
    for line, row in zip(axes, found, strict=True):
        for number, (title, image) in enumerate(
            zip(("input", row.model, "truth"), row.images, strict=True)
        ):
            low, high = row.windows[number]
            for place, plane in enumerate(planes(image)):
                panel = line[3 * number + place]
                panel.imshow(plane, cmap="gray", vmin=low, vmax=high)
                panel.axis("off")
                if place == 1:
                    panel.set_title(title, color="white", fontsize=13)
    figure.subplots_adjust(0.0, 0.0, 1.0, 0.96, 0.02, 0.12)
    return figure


def main() -> None:
    """Parse the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    draw(list(rows())).savefig(arguments.out, dpi=DOTS_PER_INCH, facecolor="black")


if __name__ == "__main__":
    main()
