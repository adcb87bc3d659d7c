"""``medcyclegan translate``, ``synth-ct`` and ``denoise-ct``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.batch import end, refuse_for_one, run_folder
from medcyclegan.cli.common import Voice
from medcyclegan.cli.conversions import (
    Outcome,
    bias_option,
    conversion_options,
    derive_option,
    end_out_of_distribution,
    facts_of,
    mask_option,
    options_of,
    run_conversion,
    say_outcome,
    untilt_option,
)
from medcyclegan.cli.paths import check_inputs, check_model
from medcyclegan.core.text import RESEARCH_USE, RESEARCH_USE_OF_IMAGES

if TYPE_CHECKING:
    from medcyclegan.workflow.batch.run import Order

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
@derive_option
@conversion_options
def translate(*, voice: Voice, source: Path, **flags: Any) -> None:
    """Translate an image with a model, on exactly the image's grid, into the same file format.

    Of a folder of images each is translated, under its name and in its sub-folder; run again, it
    does what is missing.
    """
    check_inputs(source)
    check_model(flags["model"])
    if source.is_dir() and not flags["series"]:
        order = _order_for_folder(source, flags)
        if order is not None:
            note = RESEARCH_USE_OF_IMAGES
            end(voice, run_folder(voice, order, note=note), order, note=note)
            return
    summarise(voice, run_conversion(voice, source, check=lambda task: "", **flags))


def _order_for_folder(source: Path, flags: dict[str, Any]) -> Order | None:
    """What to do with a folder of images; None if the folder is a single scan."""
    from medcyclegan.io.naming import named_beside, suffix_for
    from medcyclegan.models.store import find_model, read_card
    from medcyclegan.workflow.batch.finding import is_one_scan
    from medcyclegan.workflow.batch.plan import Everything
    from medcyclegan.workflow.batch.run import Order

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
    end_out_of_distribution(outcome)


if TYPE_CHECKING:
    from medcyclegan.core.task import Task

SYNTH_CT_EXAMPLES = """\b
Examples:
  medcyclegan synth-ct --mri head_t1.nii.gz
  medcyclegan synth-ct --mri mr_series/ --out sct_series/ --views 3 --report
  medcyclegan synth-ct --mri head_t1.nii.gz --derive mu511 --derive skull
  medcyclegan synth-ct --mri t1=t1.nii.gz --mri t2=t2.nii.gz --model my_model/
"""


@click.command("synth-ct", epilog=SYNTH_CT_EXAMPLES)
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
@derive_option
@conversion_options
def synth_ct(*, voice: Voice, mri: tuple[str, ...], **flags: Any) -> None:
    """Make a synthetic CT in HU from a head MR, on exactly the MR's grid."""
    summarise_synthetic_ct(voice, run_conversion(voice, mri, check=_why_no_synth_ct, **flags))


def _why_no_synth_ct(task: Task) -> str:
    if task.source.modality == "MR" and task.target.unit == "HU":
        return ""
    return "synth-ct takes a model from MR to CT in HU"


def summarise_synthetic_ct(voice: Voice, outcome: Outcome) -> None:
    """Print what was made: output, grid, HU range, seconds, model, warnings."""
    voxels = outcome.done.written.voxels
    facts = facts_of(outcome, note=RESEARCH_USE)
    facts |= {"hu_min": round(float(voxels.min())), "hu_max": round(float(voxels.max()))}
    say_outcome(voice, outcome, facts=facts, named="Synthetic CT")
    end_out_of_distribution(outcome)


DENOISE_CT_EXAMPLES = """\b
Examples:
  medcyclegan denoise-ct --ct low_dose.nii.gz --model my_denoiser/
  medcyclegan denoise-ct --ct ct_series/ --model my_denoiser/ --out denoised_series/
"""


@click.command("denoise-ct", epilog=DENOISE_CT_EXAMPLES)
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
@derive_option
@conversion_options
def denoise_ct(*, voice: Voice, ct: Path, **flags: Any) -> None:
    """Take the noise out of a CT: HU in, HU out, on the same grid."""
    summarise(voice, run_conversion(voice, ct, check=_why_no_denoise_ct, **flags))


def _why_no_denoise_ct(task: Task) -> str:
    if task.keeps_values:
        return ""
    return "denoise-ct takes a model from CT to CT in HU"
