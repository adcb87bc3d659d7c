"""``medcyclegan translate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import RESEARCH_USE_OF_IMAGES, Voice
from medcyclegan.cli.conversions import (
    bias_option,
    conversion_options,
    mask_option,
    options_of,
    run_conversion,
    untilt_option,
)
from medcyclegan.cli.folders import end, refuse_for_one, run_folder
from medcyclegan.cli.outcome import Outcome, end_in_doubt, facts_of, say_outcome

if TYPE_CHECKING:
    from medcyclegan.batch.run import Order

EXAMPLES = """\b
Examples:
  medcyclegan translate --model my_t1_t2/ --input head_t1.nii.gz
  medcyclegan translate --model my_ct_mr/ --input ct_series/ --out mr_series/
  medcyclegan translate --model my_look/ --input slice.png --out slice_ct.png
  medcyclegan translate --model my_look/ --input slices/ --out slices_ct/
"""


@click.command("translate", epilog=EXAMPLES)
@click.option(
    "--model", required=True, help="Name of a shipped model, or a model folder; of any task."
)
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="A volume or picture in a file, a folder with a DICOM series, one file of a series, or a "
    "folder of images: pictures, radiographs, volumes in files.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file or folder. Default: beside the input, <name>_<model> with its ending; of a "
    "folder of images the folder <name>_<model>, with the same names in it.",
)
@bias_option
@mask_option("Image that marks by > 0 what is looked at; default: the body, found by itself.")
@untilt_option
@conversion_options
def translate(*, voice: Voice, source: Path, **flags: Any) -> None:
    """Translate an image with a model, on exactly the image's grid, into the same file format.

    Of a folder of images each is translated, under its name and in its sub-folder; run again, it
    does what is missing.
    """
    if source.is_dir() and not flags["series"]:
        order = _order_for_folder(source, flags)
        if order is not None:
            note = RESEARCH_USE_OF_IMAGES
            end(voice, run_folder(voice, order, note=note), order, note=note)
            return
    summarise(voice, run_conversion(voice, source, check=lambda task: "", **flags))


def _order_for_folder(source: Path, flags: dict[str, Any]) -> Order | None:
    """What to do with a folder of images; None if the folder is a single scan."""
    from medcyclegan.batch.finding import is_one_scan
    from medcyclegan.batch.run import Order
    from medcyclegan.batch.select import Everything
    from medcyclegan.io.naming import named_beside, suffix_for
    from medcyclegan.models.store import find_model, read_card

    card = read_card(find_model(flags["model"]))
    if is_one_scan(source, modality=card.task.source.modality):
        return None
    refuse_for_one(source, flags)
    return Order(
        root=source,
        out=flags["out"] or named_beside(source, suffix_for(card.name)),
        model=flags["model"],
        rule=Everything(),
        options=options_of(flags),
        format=flags["format_"],
        report=flags["report"],
        overwrite=flags["overwrite"],
        takes="images",
        suffix="",
    )


def summarise(voice: Voice, outcome: Outcome) -> None:
    """Print what was made: output, grid, range of values, seconds, model, warnings."""
    image, task = outcome.done.written, outcome.model.task
    facts = facts_of(outcome, note=RESEARCH_USE_OF_IMAGES)
    facts |= {
        "from": task.source.modality,
        "to": task.target.modality,
        "unit": image.unit,
        "value_min": float(image.voxels.min()),
        "value_max": float(image.voxels.max()),
    }
    say_outcome(voice, outcome, facts=facts, named="Output")
    end_in_doubt(outcome)
