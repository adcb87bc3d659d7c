"""``medcyclegan phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice, voice_options

if TYPE_CHECKING:
    from medcyclegan.geometry import Geometry

EXAMPLES = """\b
Examples:
  medcyclegan phantom --contrast t1 --out phantom/
  medcyclegan phantom --contrast t2 --spacing 1 1 5 --tilt 12 --seed 7 --dicom --out thick/
"""


@click.command("phantom", epilog=EXAMPLES)
@click.option(
    "--contrast",
    type=click.Choice(["t1", "t2", "flair", "pd"]),
    default="t1",
    show_default=True,
    help="Sequence of the MR.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option(
    "--spacing", type=click.FloatRange(0.3, 20.0), nargs=3, default=(1.0, 1.0, 1.0),
    show_default=True, metavar="MM MM MM", help="Voxel size along R, A, S before tilting.",
)  # fmt: skip
@click.option(
    "--size", type=click.IntRange(1, 1024), nargs=3, metavar="N N N",
    help="Voxels along R, A, S. Default: the whole head.",
)  # fmt: skip
@click.option(
    "--tilt", type=click.FloatRange(-45, 45), default=0.0, show_default=True, metavar="DEGREES",
    help="Obliquity: turn of the grid about the left-right axis.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The subject.")
@click.option("--dicom", is_flag=True, help="Write DICOM series beside the NIfTI files.")
@voice_options
def phantom(
    *, voice: Voice, contrast: str, out: Path, spacing: tuple[float, float, float],
    size: tuple[int, int, int] | None, tilt: float, seed: int, dicom: bool,
) -> None:  # fmt: skip
    """Make a head phantom from code alone: MR, its true CT, labels and body mask."""
    from medcyclegan.cli.conversions import default_maker
    from medcyclegan.cli.phantom_files import write_phantom
    from medcyclegan.simulate.phantom import make_phantom

    subject = make_phantom(grid_of(spacing, size=size, tilt_deg=tilt), contrast=contrast, seed=seed)
    written = write_phantom(
        subject, contrast=contrast, folder=out, maker=default_maker(), dicom=dicom
    )
    voice.say_paths(written)


def grid_of(
    spacing_mm: tuple[float, float, float], *, size: tuple[int, int, int] | None, tilt_deg: float
) -> Geometry:
    """Return the grid asked for, centred on the head."""
    import numpy as np

    from medcyclegan.geometry import geometry_from_spacing
    from medcyclegan.simulate.phantom import default_geometry

    if not size:
        whole = default_geometry()
        counts = [
            max(1, round(n * mm / step))
            for n, mm, step in zip(whole.shape, whole.spacing_mm, spacing_mm, strict=True)
        ]
        size = (counts[0], counts[1], counts[2])
    cos, sin = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return geometry_from_spacing(size, spacing_mm, turn)
