"""``medcyclegan synth-ct``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import RESEARCH_USE, Voice
from medcyclegan.cli.conversions import bias_option, conversion_options, mask_option, run_conversion
from medcyclegan.cli.outcome import Outcome, end_in_doubt, facts_of, say_outcome

if TYPE_CHECKING:
    from medcyclegan.task import Task

EXAMPLES = """\b
Examples:
  medcyclegan synth-ct --mri head_t1.nii.gz
  medcyclegan synth-ct --mri mr_series/ --out sct_series/ --views 3 --report
  medcyclegan synth-ct --mri t1=t1.nii.gz --mri t2=t2.nii.gz --model my_model/
"""


@click.command("synth-ct", epilog=EXAMPLES)
@click.option(
    "--mri",
    metavar="[NAME=]PATH",
    multiple=True,
    required=True,
    help="NIfTI, .mha, .mhd, .nrrd, a folder with a DICOM series, or one file of a series. "
    "Once for each image of a model that takes several, in its order or by its names.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file or folder. Default: beside the input, scan_sct.nii.gz or <name>_sct/.",
)
@click.option(
    "--model", default="head-mr-ct", show_default=True, help="Name of a shipped model, or a folder."
)
@bias_option
@mask_option("Image that marks the head by > 0.")
@conversion_options
def synth_ct(*, voice: Voice, mri: tuple[str, ...], **flags: Any) -> None:
    """Make a synthetic CT in HU from a head MR, on exactly the MR's grid."""
    summarise(voice, run_conversion(voice, mri, check=_why_not, **flags))


def _why_not(task: Task) -> str:
    if task.source.modality == "MR" and task.target.unit == "HU":
        return ""
    return "synth-ct takes a model from MR to CT in HU"


def summarise(voice: Voice, outcome: Outcome) -> None:
    """Print what was made: output, grid, HU range, seconds, model, warnings."""
    voxels = outcome.done.written.voxels
    facts = facts_of(outcome, note=RESEARCH_USE)
    facts |= {"hu_min": round(float(voxels.min())), "hu_max": round(float(voxels.max()))}
    say_outcome(voice, outcome, facts=facts, named="Synthetic CT")
    end_in_doubt(outcome)
