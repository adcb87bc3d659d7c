"""``medcyclegan derive``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_inputs, check_out

if TYPE_CHECKING:
    from medcyclegan.workflow.derive import Derived

NOTE = "Research use only: a derived map is not a measurement."

EXAMPLES = """\b
Examples:
  medcyclegan derive head_sct.nii.gz --to mu511 --kvp 120
  medcyclegan derive head_sct.nii.gz --to rsp --curve our_scanner.csv
  medcyclegan derive ct_series/ --to density --format nifti
"""


@click.command("derive", epilog=EXAMPLES)
@click.argument("ct", type=click.Path(path_type=Path))
@click.option(
    "--to", "quantity", type=click.Choice(["rsp", "red", "mu511", "density"]), required=True,
    help="Proton stopping power or electron density, both relative to water; attenuation at "
    "511 keV in 1/cm; mass density in g/cm3.",
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
    help="Output file. Default: beside the input, <name>_<quantity> with its ending.",
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(["nifti"]), help="Needed for DICOM without --out."
)
@click.option("--series", metavar="UID", help="SeriesInstanceUID, if the folder holds several.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@voice_options
def derive(
    *, voice: Voice, ct: Path, quantity: str, curve: Path | None, kvp: int | None,
    out: Path | None, format_: Any, series: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Derive a physical quantity from the HU of CT, a CT or synthetic CT.

    The map is float32 on the CT's own grid, by a published curve or a scanner's own.
    """
    check_inputs(ct, curve)
    check_out(out)
    from medcyclegan import __version__
    from medcyclegan.imaging.hu_curves import QUANTITIES
    from medcyclegan.workflow.derive import Request, derive_file

    request = Request(
        source=ct,
        quantity=QUANTITIES[quantity],
        curve=curve,
        kvp=kvp,
        out=out,
        format=format_,
        series_uid=series,
        overwrite=overwrite,
        version=__version__,
    )
    done = derive_file(request)
    _say(voice, done, quantity)


def _say(voice: Voice, done: Derived, quantity: str) -> None:
    """Print what was written: as JSON, or lines for people."""
    low, high = float(done.image.voxels.min()), float(done.image.voxels.max())
    if voice.json:
        facts = {
            "written": str(done.output), "quantity": quantity, "unit": done.image.unit,
            "curve": done.curve.name, "kvp": done.curve.kvp, "minimum": low, "maximum": high,
            "warnings": list(done.warnings),
        }  # fmt: skip
        click.echo(json.dumps(facts, indent=2))
        return
    for warning in done.warnings:
        voice.warn(warning)
    voice.say(f"Map           {done.output}")
    voice.say(f"Values        {low:.4g} to {high:.4g} {done.image.unit}")
    voice.say(f"Curve         {done.curve.name}")
    voice.say(NOTE)
