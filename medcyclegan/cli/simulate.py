"""``medcyclegan simulate``: a folder of data for each of the translations."""

from __future__ import annotations

from pathlib import Path

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.simulate_options import (
    FolderOptions,
    folder_options,
    format_option,
    simulate_volumes,
    size_option,
    spacing_option,
)
from medcyclegan.cli.simulate_pictures import ct_images, xray_ct

Triple = tuple[float, float, float]
Counts = tuple[int, int, int]


@click.group("simulate", epilog="Example:  medcyclegan simulate mr-ct --out data/ --subjects 12")
def simulate() -> None:
    """Make data to train and test a translation with, from code alone.

    Each task gives a folder with trainA and trainB (different subjects) and testA and testB (the
    same subjects under the same names).
    """


@simulate.command("mr-ct", epilog="Example:  medcyclegan simulate mr-ct --out data/ --subjects 12")
@click.option(
    "--contrast", type=click.Choice(["t1", "t2", "flair", "pd", "random"]), default="random",
    show_default=True, help="Sequence of the MR; random: another one for each subject.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Make the heads from the whole-head label maps there, not from the phantom.",
)  # fmt: skip
@click.option(
    "--orientation", type=click.Choice(["axial", "coronal", "sagittal", "random"]),
    help="With --labels: how slices lie.  [default: axial]",
)  # fmt: skip
@click.option(
    "--thickness", type=click.FloatRange(0.7, 6.0), metavar="MM",
    help="With --labels: thickness of slices. Default: their distance.",
)  # fmt: skip
@spacing_option((1.5, 1.5, 3.0))
@size_option(None)
@format_option
@folder_options
@voice_options
def mr_ct(
    *, voice: Voice, folder: FolderOptions, contrast: str, labels: Path | None,
    orientation: str | None, thickness: float | None, spacing: Triple, size: Counts | None,
    form: str,
) -> None:  # fmt: skip
    """Heads in MR (A) and in CT (B, in HU); a subject's two images are aligned to the voxel."""
    from medcyclegan.cli.simulate_labels import SliceOptions, simulate_labels
    from medcyclegan.errors import UsageError
    from medcyclegan.simulate.head_pairs import HeadGrid, MrCtHeads, whole_head_size

    if labels is not None:
        slices = SliceOptions(spacing, size, orientation or "axial", thickness, contrast)
        simulate_labels(labels, slices, form=form, folder=folder, voice=voice)
        return
    if orientation is not None or thickness is not None:
        raise UsageError(
            "--orientation and --thickness are given without --labels",
            rule="slices of the phantom are axial, and as thick as they are apart",
            remedy="give --labels too, or leave them out",
        )
    grid = HeadGrid(spacing, size or whole_head_size(spacing))
    settings = {"heads": "phantom", "contrast": contrast, "spacing_mm": spacing, "size": grid.size}
    simulate_volumes(
        MrCtHeads(grid, contrast), "mr-ct", settings, form=form, folder=folder, voice=voice
    )


@simulate.command("t1-t2", epilog="Example:  medcyclegan simulate t1-t2 --out data/ --subjects 12")
@spacing_option((1.5, 1.5, 3.0))
@size_option(None)
@format_option
@folder_options
@voice_options
def t1_t2(
    *, voice: Voice, folder: FolderOptions, spacing: Triple, size: Counts | None, form: str
) -> None:  # fmt: skip
    """Heads in T1-weighted (A) and T2-weighted MR (B)."""
    from medcyclegan.simulate.head_pairs import HeadGrid, T1T2Heads, whole_head_size

    grid = HeadGrid(spacing, size or whole_head_size(spacing))
    settings = {"spacing_mm": spacing, "size": grid.size}
    simulate_volumes(T1T2Heads(grid), "t1-t2", settings, form=form, folder=folder, voice=voice)


@simulate.command(
    "ct-denoise", epilog="Example:  medcyclegan simulate ct-denoise --out data/ --subjects 12"
)
@click.option(
    "--dose", type=click.FloatRange(0.001, 1.0), default=0.25, show_default=True,
    metavar="SHARE", help="The low dose as a share of the full one.",
)  # fmt: skip
@click.option(
    "--photons", type=click.FloatRange(100.0, 1e9), default=2.5e5, show_default=True,
    metavar="N", help="Incident photons of each ray at full dose.",
)  # fmt: skip
@click.option(
    "--electronic-noise", type=click.FloatRange(0.0, 1e6), default=10.0, show_default=True,
    metavar="COUNTS", help="Standard deviation of the detector's own noise.",
)  # fmt: skip
@click.option(
    "--views", type=click.IntRange(8, 4096), default=360, show_default=True, metavar="N",
    help="Projections over 180 degrees.",
)  # fmt: skip
@click.option(
    "--kernel", type=click.Choice(["ram-lak", "shepp-logan", "hann"]), default="hann",
    show_default=True, help="Window of the reconstruction filter; hann is the softest.",
)  # fmt: skip
@spacing_option((1.0, 1.0, 5.0))
@size_option((256, 256, 16))
@format_option
@folder_options
@voice_options
def ct_denoise(
    *, voice: Voice, folder: FolderOptions, dose: float, photons: float, electronic_noise: float,
    views: int, kernel: str, spacing: Triple, size: Counts, form: str,
) -> None:  # fmt: skip
    """CT of heads at a low dose (A) and at the full dose (B), in HU."""
    from dataclasses import asdict

    from medcyclegan.simulate.head_pairs import HeadGrid
    from medcyclegan.simulate.low_dose import BRAIN_HEIGHT_MM, Exposure, LowDoseHeads

    exposure = Exposure(
        photons=photons, dose=dose, electronic_sd=electronic_noise, views=views, kernel=kernel
    )
    recipe = LowDoseHeads(HeadGrid(spacing, size, BRAIN_HEIGHT_MM), exposure)
    settings = {"spacing_mm": spacing, "size": size, **asdict(exposure)}
    simulate_volumes(recipe, "ct-denoise", settings, form=form, folder=folder, voice=voice)


simulate.add_command(ct_images)
simulate.add_command(xray_ct)
