"""``medcyclegan simulate ct-images`` and ``xray-ct``: tasks whose images are pictures."""

from __future__ import annotations

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.simulate_options import FolderOptions, folder_options, simulate_folder

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
    from medcyclegan.simulate.pictures import CtImages
    from medcyclegan.simulated_data.folder import Pictures

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

    from medcyclegan.simulate.radiographs import Detector, Radiographs
    from medcyclegan.simulated_data.folder import Pictures

    detector = Detector(photons=photons, scatter=scatter, signal=signal, inverted=inverted)
    recipe = Radiographs(size, pixel, detector, view, window)
    settings = {
        "view": view, "pixel_mm": pixel, "size": size, "window_hu": window, **asdict(detector)
    }  # fmt: skip
    pictures = Pictures("uint16", "uint8")
    simulate_folder(recipe, "xray-ct", settings, pictures=pictures, folder=folder, voice=voice)
