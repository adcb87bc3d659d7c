"""``medcyclegan enhance-xray``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.batch import end, refuse_for_one, run_folder
from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_inputs, check_model, check_out

if TYPE_CHECKING:
    from medcyclegan.evaluation.pictures import Stages
    from medcyclegan.workflow.batch.run import Order
    from medcyclegan.workflow.enhance import Recipe

NOTE = "Research use only: an enhanced image is not an acquired image."

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
    help="PNG, JPEG, TIFF or DICOM file (CR, DX, RG), or a folder of such files at any depth.",
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
    """Enhance radiographs: contrast, noise, edges; the number of bits and the range are kept.

    Of a folder of images each is enhanced, in its sub-folder; run again, it does what is missing.
    """
    check_inputs(image)
    check_model(model)
    if image.is_file():  # of a folder of images the folder of outputs is made
        check_out(out)
    from medcyclegan.imaging.enhancement import parse_step
    from medcyclegan.models.store import load_model
    from medcyclegan.workflow.enhance import Recipe

    steps = tuple(parse_step(method) for method in methods)
    recipe = Recipe(methods, steps, load_model(model) if model else None)
    if image.is_dir():
        order = _order(image, recipe, out=out, model=model or "", overwrite=overwrite)
        _enhance_folder(voice, order, recipe, contact_sheet=contact_sheet)
    else:
        _enhance_one(voice, image, recipe, out=out, sheet=contact_sheet, overwrite=overwrite)


def _enhance_one(
    voice: Voice, image: Path, recipe: Recipe, *, out: Path | None, sheet: bool, overwrite: bool
) -> None:
    from medcyclegan.cli.conversions import default_provenance
    from medcyclegan.workflow.enhance import enhance_file, output_for

    to = out or output_for(image, suffix=recipe.suffix)
    done = enhance_file(image, recipe, to=to, provenance=default_provenance(), overwrite=overwrite)
    for warning in done.warnings:
        voice.warn(f"{image.name}: {warning}")
    written = [done.output]
    if sheet:
        at = to.with_name(f"{to.stem}_sheet.png")
        written.append(_write_sheet(at, [done.stages], recipe, overwrite=overwrite))
    voice.say_paths(written, refused=[], methods=list(recipe.names))


def _order(folder: Path, recipe: Recipe, *, out: Path | None, model: str, overwrite: bool) -> Order:
    from medcyclegan.io.naming import named_beside
    from medcyclegan.workflow.batch.plan import Everything
    from medcyclegan.workflow.batch.run import Order

    refuse_for_one(folder, {"out": out})
    return Order(
        root=folder,
        out=out or named_beside(folder, recipe.suffix),
        model=model,
        rule=Everything(),
        overwrite=overwrite,
        takes="planes",
        suffix=recipe.suffix,
        methods=recipe.names,
    )


def _enhance_folder(voice: Voice, order: Order, recipe: Recipe, *, contact_sheet: bool) -> None:
    from medcyclegan.evaluation.pictures import MOST_ROWS
    from medcyclegan.io.targets import refuse_existing_file
    from medcyclegan.workflow.batch.item import STATE_FOLDER
    from medcyclegan.workflow.enhance import preview

    sheet = order.out / "contact_sheet.png"
    # Of a folder that we filled before, the sheet is ours, and drawn anew as its record is.
    may_replace = order.overwrite or (order.out / STATE_FOLDER).is_dir()
    if contact_sheet:
        refuse_existing_file(sheet, overwrite=may_replace)
    outcome = run_folder(voice, order, note=NOTE)
    made = [order.root / row.source for row in outcome.rows if row.model_sha256 + row.input_sha256]
    facts: dict[str, object] = {"methods": list(recipe.names)}
    if contact_sheet and made:
        stages = [preview(source, recipe) for source in made[:MOST_ROWS]]
        _write_sheet(sheet, stages, recipe, overwrite=may_replace)
        facts["contact_sheet"] = str(sheet)
        voice.say(f"Sheet   {sheet}")
    end(voice, outcome, order, note=NOTE, **facts)


def _write_sheet(sheet: Path, stages: list[Stages], recipe: Recipe, *, overwrite: bool) -> Path:
    from medcyclegan.evaluation.pictures import contact_sheet_png
    from medcyclegan.io.atomic import atomic_file

    with atomic_file(sheet, overwrite=overwrite) as part:
        part.write_bytes(contact_sheet_png(stages, titles=recipe.titles))
    return sheet
