"""What a conversion made, told to people or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice
from medcyclegan.errors import ExitCode

if TYPE_CHECKING:
    from medcyclegan.conversion import Conversion
    from medcyclegan.models.store import Model


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
    slices = getattr(done.scan.passport, "slices", ())
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
        "shape": list(geometry.shape),
        "spacing_mm": [round(mm, 4) for mm in geometry.spacing_mm],
        "seconds": round(outcome.total_s, 2),
        "conversion_seconds": round(done.conversion_s, 2),
        "seconds_by_step": {step: round(s, 2) for step, s in done.seconds.items()},
        "model": card.name,
        "model_sha256": card.weights_sha256,
        "warnings": list(done.synthesis.warnings),
        "doubts": list(done.synthesis.doubts),
        "signs": _signs_of(done),
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
    if done.report:
        voice.say(f"Report        {done.report}")
    moved = getattr(done.scan.passport, "is_resampled", False)
    whose = "the input's without its tilt" if moved else "the input's"
    voice.say(f"Grid          {size} voxels of {spacing} mm, as {whose}")
    voice.say(f"{image.unit if image.unit == 'HU' else 'Values':13} {least:.0f} to {most:.0f}")
    voice.say(f"Model         {card.name} ({card.weights_sha256[:12]})")
    _say_signs(voice, done)
    rest_s = max(0.0, outcome.total_s - done.conversion_s)
    rest = "the start and the report" if done.report else "the start"
    voice.say(f"Time          {done.conversion_s:.1f} s, and {rest_s:.1f} s for {rest}")
    if voice.level > 0:
        for step, seconds in done.seconds.items():
            voice.say(f"              {step} {seconds:.2f} s")
    voice.say(str(facts["note"]))


def end_in_doubt(outcome: Outcome) -> None:
    """End the process with the code of a result that is not to be trusted, if it is one."""
    if outcome.done.synthesis.doubts:
        sys.exit(ExitCode.DOUBTFUL)


def _say_signs(voice: Voice, done: Conversion) -> None:
    from medcyclegan.doubt.verdict import verdict_of

    signs, doubts = done.synthesis.signs, done.synthesis.doubts
    if signs is None:
        return
    said = verdict_of(signs, doubts)
    if doubts:
        voice.warn(said)
    else:
        voice.say(f"Signs         {said}")
    if signs.cycle_note:
        voice.say(f"Way back      not measured: {signs.cycle_note}")
    if voice.level > 0:
        for name, value in signs.figures().items():
            voice.say(f"              {name} {value:.3g}")


def _signs_of(done: Conversion) -> dict[str, float] | None:
    signs = done.synthesis.signs
    if signs is None:
        return None
    return {name: round(value, 4) for name, value in signs.figures().items()}
