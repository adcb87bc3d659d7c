"""What the options of ``medcyclegan evaluate`` on kinds, ranges and beams mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcyclegan.errors import UsageError

if TYPE_CHECKING:
    from medcyclegan.evaluation.signal_scores import IntensityRange
    from medcyclegan.evaluation.study.plan import Kind
    from medcyclegan.evaluation.water_paths import WaterPathOptions

KINDS: dict[str, Kind | None] = {"auto": None, "ct": "ct", "mr": "mr", "picture": "picture"}
_FIXED = re.compile(r"([-+\d.eE]+):([-+\d.eE]+)")


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
