"""``medcyclegan align``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.errors import ExitCode, code_of_all

if TYPE_CHECKING:
    from medcyclegan.workflow.align import Aligned
    from medcyclegan.workflow.align_folders import Row

NOTE = "Research use only: look at the picture before you use the aligned CT."

EXAMPLES = """\b
Examples:
  medcyclegan align --fixed mr.nii.gz --moving ct.nii.gz --out ct_aligned.nii.gz
  medcyclegan align --fixed mr_series/ --moving ct_series/ --deformable --out ct_aligned.nii.gz
  medcyclegan align --fixed patients/ --moving patients/ --out aligned/
"""


@click.command("align", epilog=EXAMPLES)
@click.option(
    "--fixed", type=click.Path(path_type=Path), required=True,
    help="The MR: a file, a DICOM series, or a folder of patients.",
)  # fmt: skip
@click.option(
    "--moving", type=click.Path(path_type=Path), required=True,
    help="The CT that is brought onto it: a file, a DICOM series, or a folder of patients.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), required=True,
    help="The CT on the MR's grid, .nii.gz, .mha or .nrrd; of patients, a folder.",
)  # fmt: skip
@click.option("--deformable", is_flag=True, help="Add a B-spline to the rigid transform.")
@click.option("--fixed-series", metavar="UID", help="SeriesInstanceUID, if --fixed holds several.")
@click.option("--moving-series", metavar="UID", help="The same of --moving.")
@click.option("--untilt", is_flag=True, help="Correct the gantry tilt of a CT in DICOM.")
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@voice_options
def align(
    *, voice: Voice, fixed: Path, moving: Path, out: Path, deformable: bool,
    fixed_series: str | None, moving_series: str | None, untilt: bool, overwrite: bool,
) -> None:  # fmt: skip
    """Bring a CT onto the grid of an MR of the same patient, or refuse if it does not fit.

    Beside the image go the transform (.tfm), a record (.json) and a picture (.png).
    """
    from medcyclegan import __version__
    from medcyclegan.workflow.align import AlignRequest, align_files
    from medcyclegan.workflow.align_folders import align_folders, are_folders_of_patients

    def one(mr: Path, ct: Path, to: Path) -> Aligned:
        request = AlignRequest(
            mr, ct, to, deformable, fixed_series, moving_series, untilt, overwrite
        )
        with voice.progress(f"Aligning {ct.name}") as progress:
            return align_files(request, version=__version__, progress=progress)

    if are_folders_of_patients(fixed, moving):
        _end_folder(voice, align_folders(fixed, moving, out, one=one, overwrite=overwrite), out)
    else:
        _say(voice, one(fixed, moving, out))


def _say(voice: Voice, done: Aligned) -> None:
    figures = done.alignment.figures()
    for warning in done.warnings:
        voice.warn(warning)
    voice.say_paths(
        list(done.outputs.values()),
        fixed_to_moving_ras=done.alignment.matrix_ras.tolist(),
        figures=figures,
        warnings=list(done.warnings),
        note=NOTE,
    )
    fit = done.alignment.fit
    voice.say(
        f"Shift left    {fit.local_mm:.1f} mm, the median over {fit.blocks} parts of the body"
    )
    voice.say(f"Starts        end within {fit.spread_mm:.2f} mm of each other")
    voice.say(
        f"Information   {fit.nmi_before:.3f} before, {fit.nmi_after:.3f} after (normalised, 1 to 2)"
    )
    voice.say(f"Bodies        overlap {fit.body_dice:.3f} (Dice)")
    if done.alignment.folded_share is not None:
        voice.say(
            f"B-spline      {done.alignment.folded_share:.2%} folded, there and back within "
            f"{done.alignment.inverse_mm:.1f} mm"
        )
    voice.say(NOTE)


def _end_folder(voice: Voice, rows: tuple[Row, ...], out: Path) -> None:
    """Tell of each patient, and end with the code that the whole has."""
    from medcyclegan.workflow.align_folders import TABLE

    done = [row for row in rows if row.status in ("aligned", "kept")]
    bad = [row for row in rows if row.status not in ("aligned", "kept")]
    for row in rows:
        if row.reason:
            voice.warn(f"{row.case}: {row.status}: {row.reason}")
    if voice.json:
        listed = [{**vars(row), "output": str(row.output or "")} for row in rows]
        click.echo(json.dumps({"table": str(out / TABLE), "patients": listed}, indent=2))
    for row in done:
        local = "" if row.figures is None else f"  {row.figures['local_mm']:.1f} mm"
        voice.say(f"{row.case}  {row.status}{local}  {row.output}")
    voice.say(f"{len(done)} aligned, {len(bad)} not: {out / TABLE}")
    voice.say(NOTE)
    if done and bad:
        sys.exit(ExitCode.SOME_REFUSED)
    if bad:
        # those without a partner have no code
        sys.exit(code_of_all(ExitCode(row.code) for row in bad if row.code))
