"""What the commands that convert one input share: options, and the run itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.outcome import Outcome, patient_of

if TYPE_CHECKING:
    from medcyclegan.synthesis import Options
    from medcyclegan.task import Task

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
        help="Write a map of the error to expect beside the output; about four times the time.",
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
    from medcyclegan.channels import in_order
    from medcyclegan.conversion import Request, convert
    from medcyclegan.errors import ModelRefused
    from medcyclegan.models.store import load_model

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
    )
    if refusal := check(model.task):
        sides = f"{model.task.source.modality} to {model.task.target.modality}"
        raise ModelRefused(
            f"The model {model.card.name} translates {sides}", rule=refusal, remedy=OTHER_MODEL
        )
    options = options_of(flags)
    with voice.progress("Translating") as progress:
        done = convert(request, model, maker=default_maker(), options=options, progress=progress)
    done.seconds["imports"] = imported - started
    patient = patient_of(done) if flags["show_patient"] else ""
    return Outcome(done, model, time.perf_counter() - started, patient)


def options_of(flags: dict[str, Any]) -> Options:
    """How to run, with the mask read; what its reader warned of goes into the result's warnings."""
    from dataclasses import replace

    from medcyclegan.io.read import read_mask
    from medcyclegan.synthesis import Options

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

    from medcyclegan.io.dicom.deidentify import Deidentifier

    return Deidentifier(key=secrets.token_bytes(32))


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
