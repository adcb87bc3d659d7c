"""Options, run and outcome of the commands that convert one input."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_inputs, check_model, check_named_inputs, check_out
from medcyclegan.errors import ExitCode

if TYPE_CHECKING:
    from medcyclegan.models.store import Model
    from medcyclegan.workflow.convert import Conversion


@dataclass(frozen=True)
class Outcome:
    """What was converted, by which model, in how many wall seconds, imports included.

    ``patient`` is empty unless it was asked for.
    """

    done: Conversion
    model: Model
    total_s: float
    patient: str = ""


def patient_of(done: Conversion) -> str:
    """Name and ID as the DICOM input has them, in one printable line."""
    slices = getattr(done.scan.source_header, "slices", ())
    if not slices:
        return "none: the input is no DICOM"
    name, number = (str(slices[0].get(key) or "") for key in ("PatientName", "PatientID"))
    line = f"{name or 'no name'} ({number or 'no ID'})"
    return "".join(character for character in line if character.isprintable())


def facts_of(outcome: Outcome, *, note: str) -> dict[str, object]:
    """What ``--json`` prints of any conversion."""
    done, card = outcome.done, outcome.model.card
    geometry = done.synthesis.image.geometry
    return {
        "output": str(done.output),
        "report": str(done.report) if done.report else None,
        "uncertainty": str(done.uncertainty) if done.uncertainty else None,
        "derived": [str(path) for path in done.derived],
        "shape": list(geometry.shape),
        "spacing_mm": [round(mm, 4) for mm in geometry.spacing_mm],
        "seconds": round(outcome.total_s, 2),
        "conversion_seconds": round(done.conversion_s, 2),
        "seconds_by_step": {step: round(s, 2) for step, s in done.seconds.items()},
        "model": card.name,
        "model_sha256": card.weights_sha256,
        "warnings": list(done.synthesis.warnings),
        "doubts": list(done.synthesis.out_of_distribution),
        "signs": _features_of(done),
        "signs_note": _features_note(outcome),
        "note": note,
        **({"patient": outcome.patient} if outcome.patient else {}),
    }


def say_outcome(voice: Voice, outcome: Outcome, *, facts: dict[str, object], named: str) -> None:
    """Print what was made, ``named`` so: as JSON all ``facts``, else lines for people."""
    done, card = outcome.done, outcome.model.card
    if voice.json:
        click.echo(json.dumps(facts, indent=2))
        return
    for warning in done.synthesis.warnings:
        voice.warn(warning)
    image = done.written
    size = " x ".join(str(n) for n in image.geometry.shape)
    spacing = " x ".join(f"{mm:.3g}" for mm in image.geometry.spacing_mm)
    least, most = float(image.voxels.min()), float(image.voxels.max())
    if outcome.patient:
        voice.say(f"Patient       {outcome.patient}")
    voice.say(f"{named:13} {done.output}")
    if done.uncertainty:
        voice.say(f"Uncertainty   {done.uncertainty}")
    for path in done.derived:
        voice.say(f"Derived       {path}")
    if done.report:
        voice.say(f"Report        {done.report}")
    moved = getattr(done.scan.source_header, "is_resampled", False)
    whose = "the input's without its tilt" if moved else "the input's"
    voice.say(f"Grid          {size} voxels of {spacing} mm, as {whose}")
    voice.say(f"{image.unit if image.unit == 'HU' else 'Values':13} {least:.0f} to {most:.0f}")
    voice.say(f"Model         {card.name} ({card.weights_sha256[:12]})")
    _say_features(voice, outcome)
    rest_s = max(0.0, outcome.total_s - done.conversion_s)
    rest = "the start and the report" if done.report else "the start"
    voice.say(f"Time          {done.conversion_s:.1f} s, and {rest_s:.1f} s for {rest}")
    if voice.level > 0:
        for step, seconds in done.seconds.items():
            voice.say(f"              {step} {seconds:.2f} s")
    voice.say(str(facts["note"]))


def end_out_of_distribution(outcome: Outcome) -> None:
    """End the process with the code of a result that is not to be trusted, if it is one."""
    if outcome.done.synthesis.out_of_distribution:
        sys.exit(ExitCode.OUT_OF_DISTRIBUTION)


def _say_features(voice: Voice, outcome: Outcome) -> None:
    from medcyclegan.quality.out_of_distribution import verdict_of

    done = outcome.done
    features, out_of_distribution = done.synthesis.features, done.synthesis.out_of_distribution
    if features is None:
        voice.say(f"Features      {_features_note(outcome)}")
        return
    said = verdict_of(features, out_of_distribution)
    if out_of_distribution:
        voice.warn(said)
    else:
        voice.say(f"Features      {said}")
    if features.cycle_note:
        voice.say(f"Way back      not measured: {features.cycle_note}")
    if voice.level > 0:
        for name, value in features.figures().items():
            voice.say(f"              {name} {value:.3g}")


def _features_note(outcome: Outcome) -> str:
    """Why no features were measured; empty if they were."""
    if outcome.done.synthesis.features is not None:
        return ""
    card = outcome.model.card
    if card.reference_ranges is None:
        return f"not measured: the card of {card.name} has no reference ranges"
    return "not measured: the subject has several images"


def _features_of(done: Conversion) -> dict[str, float] | None:
    features = done.synthesis.features
    if features is None:
        return None
    return {name: round(value, 4) for name, value in features.figures().items()}


if TYPE_CHECKING:
    from medcyclegan.core.task import Task
    from medcyclegan.workflow.synthesize import Options

OTHER_MODEL = "name another one with --model, or use: medcyclegan translate"

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--format", "format_", type=click.Choice(["nifti", "dicom"]), help="Default: as the input."
    ),
    click.option("--series", metavar="UID", help="SeriesInstanceUID, if the folder holds several."),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where the network runs.",
    ),
    click.option(
        "--views",
        type=click.Choice(["1", "3"]),
        default="1",
        show_default=True,
        help="Slab orientations; with 3 the median of the three is taken.",
    ),
    click.option(
        "--uncertainty",
        is_flag=True,
        help="Write a map of the error to expect beside the output; about six times the time.",
    ),
    click.option(
        "--report", is_flag=True, help="Write an HTML page with pictures beside the output."
    ),
    click.option("--overwrite", is_flag=True, help="Replace an existing output."),
    click.option(
        "--deidentify", is_flag=True, help="Write a DICOM series without the patient in it."
    ),
    click.option(
        "--show-patient", is_flag=True, help="Print name and ID of the patient of a DICOM input."
    ),
)


def conversion_options(command: Command) -> Command:
    """Add the options that every conversion has; those of ``voice_options`` too."""
    decorated: Any = voice_options(command)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def bias_option(command: Command) -> Command:
    """Add ``--bias-correction``, for MR."""
    return click.option(
        "--bias-correction", is_flag=True, help="Correct the MR's shading first (N4)."
    )(command)


def untilt_option(command: Command) -> Command:
    """Add ``--untilt``, for CT."""
    return click.option(
        "--untilt", is_flag=True, help="Correct the gantry tilt of a CT in DICOM, by its geometry."
    )(command)


def derive_option(command: Command) -> Command:
    """Add ``--derive``, for what makes CT."""
    return click.option(
        "--derive", multiple=True, metavar="QUANTITY[=CURVE.csv]",
        help="Derive mu511, density or skull, or rsp or red by a curve, from the CT that is made; "
        "may be given several times.",
    )(command)  # fmt: skip


def wanted_of(flags: dict[str, Any]) -> tuple[Any, ...]:
    """What ``--derive`` asks for; raises UsageError if it is given twice, or is unknown."""
    from medcyclegan.errors import UsageError
    from medcyclegan.workflow.quantities import parse_wanted

    wanted = tuple(parse_wanted(text) for text in flags.get("derive", ()))
    names = [one.name for one in wanted]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--derive {name} twice", remedy="name each quantity once")
    return wanted


def mask_option(text: str) -> Callable[[Command], Command]:
    """Add ``--mask``; ``text`` says in the help what it marks."""
    return click.option("--mask", type=click.Path(path_type=Path), help=text)


def run_conversion(
    voice: Voice, source: Path | tuple[str, ...], *, check: Callable[[Task], str], **flags: Any
) -> Outcome:
    """Convert ``source`` as the ``flags`` of a command say.

    Several sources, as ``PATH`` or ``NAME=PATH``, are the channels of one subject. ``check``
    returns what the command takes, if that is not this task; nothing if it is.
    """
    started = time.perf_counter()
    _check_paths(source, flags)
    from medcyclegan.errors import ModelRefused
    from medcyclegan.inference.channels import in_order
    from medcyclegan.models.store import load_model
    from medcyclegan.workflow.convert import Request, convert

    imported = time.perf_counter()
    model = load_model(flags["model"])
    first, *others = in_order(source, model.task) if isinstance(source, tuple) else (source,)
    request = Request(
        source=first,
        others=tuple(others),
        out=flags["out"],
        format=flags["format_"],
        series_uid=flags["series"],
        report=flags["report"],
        uncertainty=flags["uncertainty"],
        overwrite=flags["overwrite"],
        deidentifier=new_deidentifier() if flags["deidentify"] else None,
        untilt=flags.get("untilt", False),
        derive=wanted_of(flags),
    )
    if refusal := check(model.task):
        sides = f"{model.task.source.modality} to {model.task.target.modality}"
        raise ModelRefused(
            f"The model {model.card.name} translates {sides}", rule=refusal, remedy=OTHER_MODEL
        )
    options = options_of(flags)
    with voice.progress("Translating") as progress:
        done = convert(
            request, model, provenance=default_provenance(), options=options, progress=progress
        )
    done.seconds["imports"] = imported - started
    patient = patient_of(done) if flags["show_patient"] else ""
    return Outcome(done, model, time.perf_counter() - started, patient)


def _check_paths(source: Path | tuple[str, ...], flags: dict[str, Any]) -> None:
    """Refuse what can be refused before torch is imported."""
    if isinstance(source, tuple):
        check_named_inputs(source)
    else:
        check_inputs(source)
    check_inputs(flags.get("mask"))
    check_model(flags["model"])
    check_out(flags["out"])


def options_of(flags: dict[str, Any]) -> Options:
    """How to run, with the mask read; what its reader warned of goes into the result's warnings."""
    from dataclasses import replace

    from medcyclegan.io.read import read_mask
    from medcyclegan.workflow.synthesize import Options

    options = Options(
        device=flags["device"],
        views=int(flags["views"]),
        bias_correction=flags.get("bias_correction", False),
    )
    mask_path = flags.get("mask")
    if not mask_path:
        return options
    mask = read_mask(mask_path)
    notes = tuple(f"The mask {mask.source}: {said}" for said in mask.warnings)
    return replace(options, mask=mask.volume, mask_name=str(mask_path), notes=notes)


def new_deidentifier() -> Any:
    """With a key of this run alone, which is kept nowhere."""
    import secrets

    from medcyclegan.io.dicom.api import Deidentifier

    return Deidentifier(key=secrets.token_bytes(32))


def default_provenance() -> Any:
    """The real clock and fresh DICOM UIDs."""
    from datetime import datetime

    from pydicom.uid import generate_uid

    from medcyclegan import __version__
    from medcyclegan.workflow.convert import Provenance

    return Provenance(
        version=__version__,
        now=lambda: datetime.now().astimezone(),
        new_uid=lambda: str(generate_uid()),
    )
