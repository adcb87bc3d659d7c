"""``medcyclegan simulate``: a folder of data for each of the translations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.simulate_options import (
    FolderOptions,
    folder_options,
    format_option,
    simulate_folder,
    simulate_volumes,
    size_option,
    spacing_option,
)

_WINDOW = click.option(
    "--window", type=float, nargs=2, default=(-160.0, 240.0), show_default=True,
    metavar="HU HU", help="CT values that are black and white in B.",
)  # fmt: skip


@click.command(
    "ct-images", epilog="Example:  medcyclegan simulate ct-images --out data/ --subjects 12"
)
@click.option(
    "--pixels", type=click.IntRange(16, 1024), nargs=2, default=(160, 288), show_default=True,
    metavar="N N", help="Least and greatest number of rows; drawn for each subject.",
)  # fmt: skip
@click.option(
    "--slices", type=click.IntRange(1, 64), default=12, show_default=True, metavar="N",
    help="Slices of a subject, 6 mm apart.",
)  # fmt: skip
@_WINDOW
@folder_options
@voice_options
def ct_images(
    *, voice: Voice, folder: FolderOptions, pixels: tuple[int, int], slices: int,
    window: tuple[float, float],
) -> None:  # fmt: skip
    """Slices of MR (A) and of CT (B) as PNG files of 8 bit, of sizes that differ."""
    from medcyclegan.simulate.datasets import Pictures
    from medcyclegan.simulate.pictures import CtImages

    recipe = CtImages(pixels=pixels, slices=slices, window_hu=window)
    settings = {"pixels": pixels, "slices": slices, "window_hu": window}
    pictures = Pictures("uint8", "uint8")
    simulate_folder(recipe, "ct-images", settings, pictures=pictures, folder=folder, voice=voice)


@click.command("xray-ct", epilog="Example:  medcyclegan simulate xray-ct --out data/ --subjects 12")
@click.option(
    "--view", type=click.Choice(["frontal", "lateral", "random"]), default="frontal",
    show_default=True, help="Direction of the beam; random: drawn for each subject.",
)  # fmt: skip
@click.option(
    "--signal", type=click.Choice(["log", "intensity"]), default="log", show_default=True,
    help="log: bone bright, as radiographs are shown; intensity: photons, bone dark.",
)  # fmt: skip
@click.option("--inverted", is_flag=True, help="Turn grey values round, as MONOCHROME1 has them.")
@click.option(
    "--photons", type=click.FloatRange(10.0, 1e9), default=5e4, show_default=True,
    metavar="N", help="Incident photons of a pixel.",
)  # fmt: skip
@click.option(
    "--scatter", type=click.FloatRange(0.0, 10.0), default=0.3, show_default=True,
    metavar="SHARE", help="Scattered photons as a share of the primary ones.",
)  # fmt: skip
@click.option(
    "--pixel", type=click.FloatRange(0.3, 10.0), default=1.5, show_default=True, metavar="MM",
    help="Size of a pixel, at the head.",
)  # fmt: skip
@click.option(
    "--size", type=click.IntRange(16, 1024), nargs=2, default=(176, 176), show_default=True,
    metavar="N N", help="Columns and rows.",
)  # fmt: skip
@_WINDOW
@folder_options
@voice_options
def xray_ct(
    *, voice: Voice, folder: FolderOptions, view: str, signal: str, inverted: bool,
    photons: float, scatter: float, pixel: float, size: tuple[int, int],
    window: tuple[float, float],
) -> None:  # fmt: skip
    """Radiographs of heads (A, 16 bit) and CT slices of the same size (B, 8 bit) as PNG files."""
    from dataclasses import asdict

    from medcyclegan.simulate.datasets import Pictures
    from medcyclegan.simulate.pictures import Detector, Radiographs

    detector = Detector(photons=photons, scatter=scatter, signal=signal, inverted=inverted)
    recipe = Radiographs(size, pixel, detector, view, window)
    settings = {
        "view": view, "pixel_mm": pixel, "size": size, "window_hu": window, **asdict(detector)
    }  # fmt: skip
    pictures = Pictures("uint16", "uint8")
    simulate_folder(recipe, "xray-ct", settings, pictures=pictures, folder=folder, voice=voice)


@dataclass(frozen=True)
class SliceOptions:
    """How slices lie and what they show, as the options give it."""

    spacing_mm: tuple[float, float, float]
    size: tuple[int, int, int] | None
    orientation: str
    thickness_mm: float | None
    contrast: str


def simulate_labels(
    labels: Path, options: SliceOptions, *, form: str, folder: FolderOptions, voice: Voice
) -> None:
    """Make the heads from label maps: read those that are needed, then simulate."""
    from medcyclegan.errors import UsageError
    from medcyclegan.io.targets import refuse_existing_folder
    from medcyclegan.simulate.datasets import read_heads
    from medcyclegan.simulate.label_heads.heads import LabelHeads, LabelSlices

    pixel_mm, other_mm, spacing_mm = options.spacing_mm
    size = options.size
    if pixel_mm != other_mm or (size is not None and size[0] != size[1]):
        raise UsageError(
            f"Pixels of {pixel_mm} x {other_mm} mm, size {size}",
            rule="slices from label maps are square, and so are their pixels",
            remedy="give the same number twice",
        )
    slices = LabelSlices(
        pixel_mm=pixel_mm,
        spacing_mm=spacing_mm,
        thickness_mm=options.thickness_mm or spacing_mm,
        orientation=options.orientation,
        size=None if size is None else (size[0], size[2]),
    )
    refuse_existing_folder(folder.out, overwrite=folder.overwrite)  # before minutes of reading
    with voice.progress("Reading label maps") as progress:
        dealt = read_heads(labels, folder.split, progress=progress)
    settings = {
        "heads": dealt.names, "contrast": options.contrast, "spacing_mm": options.spacing_mm,
        "size": size, "orientation": slices.orientation, "thickness_mm": slices.thickness_mm,
    }  # fmt: skip
    recipe = LabelHeads(dealt.heads, slices, options.contrast)
    simulate_volumes(recipe, "mr-ct", settings, form=form, folder=folder, voice=voice)


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
    pass
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
    from medcyclegan.simulate.low_dose_ct import BRAIN_HEIGHT_MM, Exposure, LowDoseHeads

    exposure = Exposure(
        photons=photons, dose=dose, electronic_sd=electronic_noise, views=views, kernel=kernel
    )
    recipe = LowDoseHeads(HeadGrid(spacing, size, BRAIN_HEIGHT_MM), exposure)
    settings = {"spacing_mm": spacing, "size": size, **asdict(exposure)}
    simulate_volumes(recipe, "ct-denoise", settings, form=form, folder=folder, voice=voice)


simulate.add_command(ct_images)
simulate.add_command(xray_ct)
