"""``medcyclegan evaluate``."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_inputs, check_named_inputs, check_out
from medcyclegan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from medcyclegan.evaluation.signal_scores import IntensityRange
    from medcyclegan.evaluation.study.patient import Refusal
    from medcyclegan.evaluation.study.plan import Kind, Method
    from medcyclegan.evaluation.study.tables import Study
    from medcyclegan.evaluation.water_paths import WaterPathOptions

AUTO = "auto"
KINDS: dict[str, Kind | None] = {"auto": None, "ct": "ct", "mr": "mr", "picture": "picture"}
_FIXED = re.compile(r"([-+\d.eE]+):([-+\d.eE]+)")

EXAMPLES = """\b
Examples:
  medcyclegan evaluate --pred sct/ --ref ct/ --out study/
  medcyclegan evaluate --pred unet=sct_a/ --pred cyclegan=sct_b/ --ref ct/ --mask masks/ --mr mr/ \\
    --protocol synthrad2025 --group sites.csv --out study/
  medcyclegan evaluate --pred sct/ --ref ct/ --wepl --target targets/ --out study/
  medcyclegan evaluate --pred t2_made/ --ref t2/ --kind mr --range each --out study/
"""


@click.command("evaluate", epilog=EXAMPLES)
@click.option(
    "--pred", "preds", multiple=True, required=True, metavar="[NAME=]PATH",
    help="Images of a method: a folder or one image. Give it once for each method.",
)  # fmt: skip
@click.option(
    "--ref", type=click.Path(path_type=Path), required=True,
    help="True images: a folder or one image.",
)  # fmt: skip
@click.option(
    "--mask", default=AUTO, show_default=True, metavar="PATH|auto",
    help="Body masks, above 0 in the body; auto finds the body in each true image.",
)  # fmt: skip
@click.option("--mr", type=click.Path(path_type=Path), help="MRs, shown beside the CTs.")
@click.option(
    "--protocol", type=click.Choice(["synthrad2023", "synthrad2025"]), default="synthrad2023",
    show_default=True, help="Definition of the scores: SSIM (2023) or MS-SSIM (2025).",
)  # fmt: skip
@click.option(
    "--kind", type=click.Choice(["auto", "ct", "mr", "picture"]), default="auto",
    show_default=True,
    help="What is scored: CTs in HU, MRs, or pictures. auto: as a batch's record or the files say.",
)  # fmt: skip
@click.option(
    "--range", "intensities", metavar="each|reference|LOW:HIGH",
    help="Of MRs and pictures, the intensities that count as 0 and 1: 0 to the 99.5th percentile "
    "of each image (default of MRs) or of the true one, or two numbers (of pictures: 0:255).",
)  # fmt: skip
@click.option(
    "--wepl", is_flag=True,
    help="Errors of the water-equivalent path length, the surrogate of proton range, along beams.",
)  # fmt: skip
@click.option(
    "--target", type=click.Path(path_type=Path),
    help="With --wepl: target masks; rays end behind the target, and range errors are given.",
)  # fmt: skip
@click.option(
    "--beams", metavar="DEGREES,...",
    help="With --wepl: gantry angles, 0 from the front, 90 from the patient's left.  "
    "[default: 0,30,...,330]",
)  # fmt: skip
@click.option(
    "--curve", type=click.Path(path_type=Path), metavar="FILE.csv",
    help="With --wepl: your scanner's curve of proton stopping power, columns hu and value.  "
    "[default: Schneider 2000 with Fippel and Soukup 2004, 120 kVp assumed]",
)  # fmt: skip
@click.option(
    "--dose-from", type=click.Path(path_type=Path), metavar="DIR",
    help="Results of a dose pipeline, to be put into the report; no clinical calculation.",
)  # fmt: skip
@click.option(
    "--group", "groups", type=click.Path(path_type=Path), metavar="TABLE.csv",
    help="CSV with the columns case and group; the summary is then given by group, too.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to make."
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the folder of an earlier study.")
@voice_options
def evaluate(
    *, voice: Voice, preds: tuple[str, ...], ref: Path, mask: str, mr: Path | None,
    protocol: str, kind: str, intensities: str | None, wepl: bool, target: Path | None,
    beams: str | None, curve: Path | None, dose_from: Path | None, groups: Path | None, out: Path,
    overwrite: bool,
) -> None:  # fmt: skip
    """Score synthetic CTs, MRs or pictures against true ones: a report for a cohort."""
    check_named_inputs(preds)
    check_inputs(ref, None if mask == AUTO else mask, mr, groups, target, curve, dose_from)
    check_out(out)
    from datetime import datetime

    from medcyclegan import __version__
    from medcyclegan.evaluation.study.plan import StudyRequest
    from medcyclegan.evaluation.study.run import evaluate_study

    request = StudyRequest(
        methods=tuple(method_of(text) for text in preds),
        ref=ref,
        out=out,
        protocol="synthrad2023" if protocol == "synthrad2023" else "synthrad2025",
        mask=None if mask == AUTO else Path(mask),
        mr=mr,
        groups=groups,
        overwrite=overwrite,
        kind=KINDS[kind],
        intensities=intensities_of(intensities),
        water_paths=water_paths_of(Paths(wepl, beams, curve, target)),
        target=target,
        dose_from=dose_from,
    )
    with voice.progress("Scoring patients") as progress:
        study = evaluate_study(
            request, version=__version__, now=datetime.now().astimezone(), progress=progress
        )
    _say_results(study, voice)
    if study.unmatched or study.refused:
        sys.exit(ExitCode.SOME_REFUSED)


def method_of(text: str) -> Method:
    """Take ``NAME=PATH`` or a path alone, which then gives the name."""
    from medcyclegan.core.text import path_text
    from medcyclegan.evaluation.study.plan import Method
    from medcyclegan.io.case_names import stem

    name, equals, path = text.partition("=")
    # A path may hold an equals sign itself; what exists as it stands is a path.
    if not equals or Path(text).exists():
        return Method(_usual_name(stem(path_text(Path(text).absolute().name))), Path(text))
    return Method(name, Path(path))


def _usual_name(name: str) -> str:
    """A name of a file or folder as that of a method: what may not be in it becomes a dash."""
    return re.sub(r"[^\w .+()=-]", "-", name).lstrip(" .+()=-")[:64] or "method"


def _say_results(study: Study, voice: Voice) -> None:
    from medcyclegan.core.text import counted

    for kind, refusals in (("unmatched", study.unmatched), ("refused", study.refused)):
        for refusal in refusals:
            voice.warn(_sentence(kind, refusal))
    for warning in study.warnings:
        voice.warn(warning)
    out = study.request.out
    voice.say_paths(
        [out / "report.html", out / "summary.csv", out / "metrics.csv"],
        protocol=study.protocol,
        patients=len(study.patients),
        unmatched=[vars(refusal) for refusal in study.unmatched],
        refused=[vars(refusal) for refusal in study.refused],
        warnings=list(study.warnings),
    )
    measure = f"protocol {study.protocol}" if study.is_of_ct else study.protocol
    voice.say(f"{counted(len(study.patients), 'patient')} scored, {measure}:")
    for method in study.methods:
        voice.say(f"  {method}")
        for title, cells in _lines(study, method):
            voice.say(f"    {title}: {'; '.join(cells)}")
    if study.request.water_paths is not None:
        voice.say(f"Stopping power: {study.request.water_paths.curve.name}.")
    if study.doses:
        from medcyclegan.evaluation.dose import NO_CLINICAL_CALCULATION

        voice.say(f"{counted(len(study.doses), 'dose comparison')}. {NO_CLINICAL_CALCULATION}")
    if study.unmatched or study.refused:
        voice.say(
            f"{len(study.unmatched)} without a partner and {len(study.refused)} refused: see above."
        )


def _lines(study: Study, method: str) -> list[tuple[str, list[str]]]:
    """The means of a method, a line for each family of scores."""
    from medcyclegan.evaluation.study.score_columns import FAMILIES

    lines = []
    for family, title in FAMILIES.items():
        cells = [
            f"{s.metric.label} {s.mean:.{s.metric.digits}f} {s.metric.unit}".rstrip()
            for s in study.summaries
            if s.method == method and s.group == "all" and s.n and s.metric.family == family
        ]
        if cells:
            lines.append((title, cells))
    return lines


def _sentence(kind: str, refusal: Refusal) -> str:
    return f"{kind}: {refusal.case} of {refusal.method}: {refusal.reason.rstrip('.')}."


@dataclass(frozen=True)
class Paths:
    """The options on water-equivalent paths, as they were given."""

    wepl: bool
    beams: str | None
    curve: Path | None
    target: Path | None


def intensities_of(text: str | None) -> IntensityRange | None:
    """Take ``each``, ``reference`` or ``LOW:HIGH``; None leaves it to the kind of images."""
    from medcyclegan.evaluation.signal_scores import IntensityRange

    if text is None:
        return None
    if text == "each":
        return IntensityRange("each")
    if text == "reference":
        return IntensityRange("reference")
    if found := _FIXED.fullmatch(text):
        try:
            return IntensityRange("fixed", float(found[1]), float(found[2]))
        except ValueError:
            pass
    raise UsageError(
        f"--range {text}",
        rule="it is each, reference, or two numbers LOW:HIGH",
        remedy="give --range 0:255, for one",
    )


def water_paths_of(given: Paths) -> WaterPathOptions | None:
    """Return along which beams and by which curve paths are taken; None without ``--wepl``.

    Raises
    ------
    UsageError
        If there are options on paths without ``--wepl``, or angles that are no numbers.
    InputRefused
        If the curve's file is none.
    """
    from medcyclegan.evaluation.water_paths import GANTRY_DEG, WaterPathOptions
    from medcyclegan.imaging.hu_curves import proton_stopping_power
    from medcyclegan.workflow.quantities import read_curve

    if not given.wepl:
        _refuse_alone(given)
        return None
    angles = GANTRY_DEG if given.beams is None else _angles(given.beams)
    if given.curve is not None:
        return WaterPathOptions(read_curve(given.curve), angles)
    return WaterPathOptions(proton_stopping_power(), angles, kvp=USUAL_KVP)


# The voltage of the CTs that the shipped models learned from; the density's publication names none.
USUAL_KVP = "120 kVp assumed, as the curve is not told apart by voltage"


def _refuse_alone(given: Paths) -> None:
    options = {"--beams": given.beams, "--curve": given.curve, "--target": given.target}
    alone = [name for name, value in options.items() if value is not None]
    if alone:
        raise UsageError(
            f"{' and '.join(alone)} without --wepl",
            rule="they are of water-equivalent paths",
            remedy="add --wepl",
        )


def _angles(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(
            f"--beams {text}",
            rule="gantry angles are numbers with commas between them",
            remedy="give --beams 0,90,270, for one",
        ) from error
