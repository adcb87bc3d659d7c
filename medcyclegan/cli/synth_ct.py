"""``medcyclegan synth-ct``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import RESEARCH_USE, Voice, voice_options
from medcyclegan.errors import ModelRefused

if TYPE_CHECKING:
    from medcyclegan.conversion import Conversion
    from medcyclegan.models.store import Model

EXAMPLES = """\b
Examples:
  medcyclegan synth-ct --mri head_t1.nii.gz
  medcyclegan synth-ct --mri mr_series/ --out sct_series/ --views 3 --report
"""


@click.command("synth-ct", epilog=EXAMPLES)
@click.option(
    "--mri",
    type=click.Path(path_type=Path),
    required=True,
    help="NIfTI, .mha, .mhd, .nrrd, a folder with a DICOM series, or one file of a series.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file or folder. Default: beside the input, scan_sct.nii.gz or <name>_sct/.",
)
@click.option(
    "--format", "format_", type=click.Choice(["nifti", "dicom"]), help="Default: as the input."
)
@click.option("--series", metavar="UID", help="SeriesInstanceUID, if the folder holds several.")
@click.option(
    "--model", default="head-mr-ct", show_default=True, help="Name of a shipped model, or a folder."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)
@click.option(
    "--views",
    type=click.Choice(["1", "3"]),
    default="1",
    show_default=True,
    help="Slab orientations; with 3 the median of the three is taken.",
)
@click.option("--bias-correction", is_flag=True, help="Correct the MR's shading first (N4).")
@click.option("--mask", type=click.Path(path_type=Path), help="Image that marks the head by > 0.")
@click.option("--report", is_flag=True, help="Write an HTML page with pictures beside the output.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@voice_options
def synth_ct(*, voice: Voice, mri: Path, format_: Any, series: str | None, **flags: Any) -> None:
    """Make a synthetic CT in HU from a head MR, on exactly the MR's grid."""
    started = time.perf_counter()
    from medcyclegan.conversion import Request, convert
    from medcyclegan.io.read import read_scan
    from medcyclegan.models.store import load_model
    from medcyclegan.synthesis import Options

    imported = time.perf_counter()
    request = Request(
        source=mri,
        out=flags["out"],
        format=format_,
        series_uid=series,
        report=flags["report"],
        overwrite=flags["overwrite"],
    )
    model = load_model(flags["model"])
    refuse_other_task(model)
    mask_path = flags["mask"]
    options = Options(
        device=flags["device"],
        views=int(flags["views"]),
        bias_correction=flags["bias_correction"],
        mask=read_scan(mask_path).volume if mask_path else None,
    )
    with voice.progress("Translating") as progress:
        done = convert(request, model, maker=default_maker(), options=options, progress=progress)
    done.seconds["imports"] = imported - started
    summarise(voice, done, model, total_s=time.perf_counter() - started)


def refuse_other_task(model: Model) -> None:
    """Raise ModelRefused unless the model makes a CT from an MR."""
    task = model.task
    if (task.source.modality, task.target.modality) != ("MR", "CT"):
        raise ModelRefused(
            f"The model {model.card.name} translates {task.source.modality} to "
            f"{task.target.modality}",
            rule="synth-ct takes a model that translates MR to CT",
            remedy="name another one with --model",
        )


def default_maker() -> Any:
    """The real clock and fresh DICOM UIDs."""
    from datetime import datetime

    from pydicom.uid import generate_uid

    from medcyclegan import __version__
    from medcyclegan.conversion import Maker

    return Maker(
        version=__version__,
        now=lambda: datetime.now().astimezone(),
        new_uid=lambda: str(generate_uid()),
    )


def summarise(voice: Voice, done: Conversion, model: Model, *, total_s: float) -> None:
    """Print what was made: output, grid, HU range, seconds, model, warnings."""
    geometry, image = done.synthesis.image.geometry, done.synthesis.image.voxels
    facts = {
        "output": str(done.output),
        "report": str(done.report) if done.report else None,
        "shape": list(geometry.shape),
        "spacing_mm": [round(mm, 4) for mm in geometry.spacing_mm],
        "hu_min": round(float(image.min())),
        "hu_max": round(float(image.max())),
        "seconds": round(total_s, 2),
        "seconds_by_step": {step: round(s, 2) for step, s in done.seconds.items()},
        "model": model.card.name,
        "model_sha256": model.card.weights_sha256,
        "warnings": list(done.synthesis.warnings),
        "note": RESEARCH_USE,
    }
    if voice.json:
        click.echo(json.dumps(facts, indent=2))
        return
    for warning in done.synthesis.warnings:
        voice.warn(warning)
    size = " x ".join(str(n) for n in geometry.shape)
    spacing = " x ".join(f"{mm:.3g}" for mm in geometry.spacing_mm)
    voice.say(f"Synthetic CT  {done.output}")
    if done.report:
        voice.say(f"Report        {done.report}")
    voice.say(f"Grid          {size} voxels of {spacing} mm, as the MR's")
    voice.say(f"HU            {facts['hu_min']} to {facts['hu_max']}")
    voice.say(f"Model         {model.card.name} ({model.card.weights_sha256[:12]})")
    voice.say(f"Time          {total_s:.1f} s")
    if voice.level > 0:
        for step, seconds in done.seconds.items():
            voice.say(f"              {step} {seconds:.2f} s")
    voice.say(RESEARCH_USE)
