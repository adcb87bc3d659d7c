"""``medcyclegan translate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medcyclegan.cli.common import RESEARCH_USE_OF_IMAGES, Voice
from medcyclegan.cli.conversions import (
    bias_option,
    conversion_options,
    mask_option,
    run_conversion,
    untilt_option,
)
from medcyclegan.cli.outcome import Outcome, end_in_doubt, facts_of, say_outcome

EXAMPLES = """\b
Examples:
  medcyclegan translate --model my_t1_t2/ --input head_t1.nii.gz
  medcyclegan translate --model my_ct_mr/ --input ct_series/ --out mr_series/
  medcyclegan translate --model my_look/ --input slice.png --out slice_ct.png
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
    help="A volume or picture in a file, or a folder with a DICOM series, or one file of a series.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file or folder. Default: beside the input, <name>_<model> with its ending.",
)
@bias_option
@mask_option("Image that marks by > 0 what is looked at; default: the body, found by itself.")
@untilt_option
@conversion_options
def translate(*, voice: Voice, source: Path, **flags: Any) -> None:
    """Translate an image with a model, on exactly the image's grid, into the same file format."""
    summarise(voice, run_conversion(voice, source, check=lambda task: "", **flags))


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
