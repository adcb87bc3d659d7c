"""``medcyclegan denoise-ct``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice
from medcyclegan.cli.conversions import (
    conversion_options,
    mask_option,
    run_conversion,
    untilt_option,
)
from medcyclegan.cli.translate import summarise

if TYPE_CHECKING:
    from medcyclegan.task import Task

EXAMPLES = """\b
Examples:
  medcyclegan denoise-ct --ct low_dose.nii.gz --model my_denoiser/
  medcyclegan denoise-ct --ct ct_series/ --model my_denoiser/ --out denoised_series/
"""


@click.command("denoise-ct", epilog=EXAMPLES)
@click.option(
    "--ct",
    type=click.Path(path_type=Path),
    required=True,
    help="CT in HU: NIfTI, .mha, .mhd, .nrrd, a folder with a DICOM series, or one file of it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file or folder. Default: beside the input, <name>_<model> with its ending.",
)
@click.option(
    "--model", default="ct-denoise", show_default=True, help="Name of a shipped model, or a folder."
)
@mask_option("Image that marks by > 0 what is denoised; default: the body, found by itself.")
@untilt_option
@conversion_options
def denoise_ct(*, voice: Voice, ct: Path, **flags: Any) -> None:
    """Take the noise out of a CT: HU in, HU out, on the same grid."""
    summarise(voice, run_conversion(voice, ct, check=_why_not, **flags))


def _why_not(task: Task) -> str:
    if task.keeps_values:
        return ""
    return "denoise-ct takes a model from CT to CT in HU"
