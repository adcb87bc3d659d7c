"""``medcyclegan enhance-xray``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice, voice_options

if TYPE_CHECKING:
    from medcyclegan.enhanced_files.files import Enhanced
    from medcyclegan.enhanced_files.recipe import Recipe

METHODS = (
    "hist-eq", "clahe", "denoise-bilateral", "denoise-nlm", "denoise-tv", "unsharp", "edges",
)  # fmt: skip

EXAMPLES = """\b
Examples:
  medcyclegan enhance-xray --image chest.png --method clahe
  medcyclegan enhance-xray --image IM0001.dcm --method denoise-nlm --method clahe:clip_limit=0.02
"""


@click.command("enhance-xray", epilog=EXAMPLES)
@click.option(
    "--image", type=click.Path(path_type=Path), required=True,
    help="PNG, JPEG, TIFF or DICOM file (CR, DX), or a folder of such files.",
)  # fmt: skip
@click.option(
    "--method", "methods", multiple=True, required=True, metavar="NAME[:KEY=VALUE,...]",
    help=f"One of {', '.join(METHODS)}; give several, and they are applied in that order.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="Output file, or folder for DICOM and for a folder of images. Default: beside the input.",
)  # fmt: skip
@click.option(
    "--model", metavar="NAME|FOLDER", help="Translate the enhanced image with this model."
)
@click.option(
    "--contact-sheet", is_flag=True, help="Write a PNG of each image before and after each step."
)
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@voice_options
def enhance_xray(
    *, voice: Voice, image: Path, methods: tuple[str, ...], out: Path | None,
    model: str | None, contact_sheet: bool, overwrite: bool,
) -> None:  # fmt: skip
    """Enhance radiographs: contrast, noise, edges; the number of bits and the range are kept."""
    from medcyclegan.enhanced_files.recipe import Recipe, images_in, output_for
    from medcyclegan.enhancement.methods import parse_step
    from medcyclegan.io.read import refuse_irregular
    from medcyclegan.models.store import load_model

    steps = tuple(parse_step(method) for method in methods)
    recipe = Recipe(methods, steps, load_model(model) if model else None)
    refuse_irregular(image)
    if image.is_dir():
        folder = out or image.with_name(f"{image.name}{recipe.suffix}")
        sources = images_in(image)
        targets = [output_for(path, suffix=recipe.suffix, folder=folder) for path in sources]
        _make(folder)
        sheet = folder / "contact_sheet.png"
    else:
        sources, targets = [image], [out or output_for(image, suffix=recipe.suffix)]
        sheet = targets[0].with_name(f"{targets[0].stem}_sheet.png")
    done, refused = _enhance_all(sources, targets, recipe, overwrite=overwrite, voice=voice)
    written = [one.output for one in done]
    if contact_sheet and done:
        written.append(_write_sheet(sheet, done, recipe, overwrite=overwrite))
    voice.say_paths(written, refused=refused, methods=list(methods))
    if refused:
        from medcyclegan.errors import ExitCode

        sys.exit(ExitCode.SOME_REFUSED)


def _make(folder: Path) -> None:
    from medcyclegan.io.targets import refusals_of

    with refusals_of(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _enhance_all(
    sources: list[Path], targets: list[Path], recipe: Recipe, *, overwrite: bool, voice: Voice
) -> tuple[list[Enhanced], list[str]]:
    """Enhance each; a single refused file is an error, one of a folder is named and left out."""
    from medcyclegan.cli.conversions import default_maker
    from medcyclegan.enhanced_files.files import enhance_file
    from medcyclegan.errors import InputRefused

    done: list[Enhanced] = []
    refused: list[str] = []
    maker = default_maker()
    with voice.progress("Enhancing") as progress:
        for number, (source, to) in enumerate(zip(sources, targets, strict=True), start=1):
            try:
                one = enhance_file(source, recipe, to=to, maker=maker, overwrite=overwrite)
            except InputRefused as error:
                if len(sources) == 1:
                    raise
                voice.warn(f"refused: {error}")
                refused.append(str(source))
                continue
            for warning in one.warnings:
                voice.warn(f"{source.name}: {warning}")
            done.append(one)
            progress(number, len(sources))
    return done, refused


def _write_sheet(sheet: Path, done: list[Enhanced], recipe: Recipe, *, overwrite: bool) -> Path:
    from medcyclegan.evaluation.contact_sheet import save_contact_sheet
    from medcyclegan.io.atomic import atomic_file

    with atomic_file(sheet, overwrite=overwrite) as part:
        save_contact_sheet(part, [one.stages for one in done], titles=recipe.titles)
    return sheet
