"""``medcyclegan derive``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.conversions import untilt_option
from medcyclegan.cli.paths import check_inputs, check_out

if TYPE_CHECKING:
    from medcyclegan.imaging.skull import Region
    from medcyclegan.workflow.derive import Derived

NOTE = "Research use only: a derived map is not a measurement."
QUANTITIES = ("rsp", "red", "mu511", "density", "skull")

EXAMPLES = """\b
Examples:
  medcyclegan derive head_sct.nii.gz --to mu511 --kvp 120
  medcyclegan derive head_sct.nii.gz --to rsp --curve our_scanner.csv
  medcyclegan derive ct_series/ --to density
  medcyclegan derive head_sct.nii.gz --to skull
"""


@click.command("derive", epilog=EXAMPLES)
@click.argument("ct", type=click.Path(path_type=Path))
@click.option(
    "--to", "quantity", type=click.Choice(QUANTITIES), required=True,
    help="Proton stopping power or electron density, both relative to water; attenuation at "
    "511 keV in 1/cm; mass density in g/cm3; or the skull: mask, thickness in mm, and a table "
    "with its density ratio by region.",
)  # fmt: skip
@click.option(
    "--curve", type=click.Path(path_type=Path), metavar="FILE.csv",
    help="A scanner's own curve, columns hu and value; needed for rsp and red.",
)  # fmt: skip
@click.option(
    "--kvp", type=int, metavar="N",
    help="Tube voltage of the CT, for mu511.  [default: of the DICOM header, else 120]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="Output file, or folder for DICOM. Default: beside the input, <name>_<quantity>.",
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(["nifti", "dicom"]),
    help="Default: as the input; a map in DICOM is a Parametric Map.",
)  # fmt: skip
@click.option("--series", metavar="UID", help="SeriesInstanceUID, if the folder holds several.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@untilt_option
@voice_options
def derive(
    *, voice: Voice, ct: Path, quantity: str, curve: Path | None, kvp: int | None,
    out: Path | None, format_: Any, series: str | None, overwrite: bool, untilt: bool,
) -> None:  # fmt: skip
    """Derive a physical quantity from the HU of CT, a CT or synthetic CT.

    The map is float32 on the CT's own grid, by a published curve or a scanner's own.
    """
    check_inputs(ct, curve)
    check_out(out)
    from datetime import datetime

    from pydicom.uid import generate_uid

    from medcyclegan import __version__
    from medcyclegan.io.dicom.api import MapMaker
    from medcyclegan.workflow.derive import Request, derive_file
    from medcyclegan.workflow.quantities import Wanted

    request = Request(
        source=ct,
        wanted=Wanted(quantity, curve, kvp),
        out=out,
        format=format_,
        series_uid=series,
        overwrite=overwrite,
        untilt=untilt,
    )
    now = datetime.now().astimezone()
    maker = MapMaker(__version__, now, lambda: str(generate_uid()))
    done = derive_file(request, maker=maker)
    _say(voice, done, quantity)


def _say(voice: Voice, done: Derived, quantity: str) -> None:
    """Print what was written: as JSON, or lines for people."""
    low, high = float(done.image.voxels.min()), float(done.image.voxels.max())
    regions = done.skull.regions if done.skull else ()
    if voice.json:
        facts: dict[str, object] = {
            "written": str(done.output), "quantity": quantity, "unit": done.image.unit,
            "curve": done.curve.name if done.curve else None,
            "kvp": done.curve.kvp if done.curve else None, "minimum": low, "maximum": high,
            "warnings": list(done.warnings),
        }  # fmt: skip
        if regions:
            facts["all_written"] = [str(path) for path in done.outputs]
            facts["regions"] = [_numbers(region) for region in regions]
        click.echo(json.dumps(facts, indent=2))
        return
    for warning in done.warnings:
        voice.warn(warning)
    if regions:
        _say_skull(voice, done, regions)
    else:
        voice.say(f"Map           {done.output}")
        voice.say(f"Values        {low:.4g} to {high:.4g} {done.image.unit}")
        voice.say(f"Curve         {done.curve.name if done.curve else ''}")
    voice.say(NOTE)


def _say_skull(voice: Voice, done: Derived, regions: tuple[Region, ...]) -> None:
    for name, path in zip(("Skull", "Thickness", "Table"), done.outputs, strict=True):
        voice.say(f"{name:<14}{path}")
    voice.say(f"{'':<14}thickness (5 to 95 %)    density ratio")
    for region in regions:
        thick = f"{region.thickness_mean_mm:.1f} mm ({region.thickness_p5_mm:.1f} to "
        thick += f"{region.thickness_p95_mm:.1f})"
        voice.say(f"{region.name:<14}{thick:<25}{region.sdr:.2f}")


def _numbers(region: Region) -> dict[str, object]:
    """The figures of a region; those that are not defined are null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in vars(region).items()
    }
