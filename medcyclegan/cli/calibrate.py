"""``medcyclegan calibrate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options

if TYPE_CHECKING:
    from medcyclegan.models.card import Card
    from medcyclegan.quality.calibration import Calibration
    from medcyclegan.quality.reference_folder import ReferenceFolder

# Ranges of fewer people than this are narrow, and flag many others.
FEW_SUBJECTS = 8

EXAMPLES = """\b
Examples:
  medcyclegan calibrate my_model/ --images held_out/mr
  medcyclegan calibrate my_model/ --images held_out/mr --pairs held_out/ct
  medcyclegan calibrate head-mr-ct --images our_heads/ --extend --out our_head_mr_ct/
"""


@click.command("calibrate", epilog=EXAMPLES)
@click.argument("model")
@click.option(
    "--images", type=click.Path(path_type=Path), required=True, metavar="DIR",
    help="Folder of images that the model is meant for, of people that it was not trained on.",
)  # fmt: skip
@click.option(
    "--pairs", type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of true images of the same people, named as theirs: gives the curve of "
    "uncertainty.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Write a copy of the model there. Default: onto the model's own card.",
)  # fmt: skip
@click.option(
    "--in-place", is_flag=True, help="Write onto the card of a shipped model too, in a checkout."
)
@click.option("--overwrite", is_flag=True, help="Replace a model in --out.")
@click.option(
    "--extend", is_flag=True, help="Widen the ranges on the card, and do not replace them."
)
@click.option("--reverse", metavar="NAME", help="Model of the way back, for MR to CT.")
@click.option("--name", metavar="TEXT", help="What the card calls the images.  [default: DIR]")
@click.option(
    "--licence", metavar="TEXT", default="not stated", show_default=True,
    help="Licence of the images, for the card.",
)  # fmt: skip
@click.option(
    "--list-files", is_flag=True,
    help="Name each image on the card; not where names tell who a patient is.",
)  # fmt: skip
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto",
    show_default=True, help="Where the network runs.",
)  # fmt: skip
@voice_options
def calibrate(
    *, voice: Voice, model: str, images: Path, pairs: Path | None, out: Path | None,
    in_place: bool, overwrite: bool, extend: bool, reverse: str | None, device: Any, **about: Any,
) -> None:  # fmt: skip
    """Measure what a model is meant for, so that other inputs are flagged (exit code 9).

    The signs of the images become the reference ranges of MODEL, a model folder or the name of a
    shipped model. With true images, the error that goes with a spread becomes its curve of
    uncertainty. Both are written onto the model's card, whole or not at all.
    """
    from dataclasses import replace

    from medcyclegan.models.store import find_model, load_model
    from medcyclegan.quality.calibration import ImageSet, calibrated_card
    from medcyclegan.quality.calibration import calibrate as run
    from medcyclegan.quality.reference_folder import find_reference_images

    folder = find_model(model)
    target = _target(folder, images, out, in_place=in_place, overwrite=overwrite)
    opened = load_model(folder)
    if reverse is not None:
        opened = replace(opened, card=_with_reverse(opened.card, reverse))
    data = ImageSet(about["name"] or images.name, about["licence"], about["list_files"])
    found = find_reference_images(images, opened.task, data=data.name, pairs=pairs)
    with voice.progress("Calibrating") as progress:
        counted = _counter(progress, len(found))
        calibration = run(opened, found.read(), [data], device=device, done=counted)
    card = calibrated_card(opened.card, calibration, extend=extend)
    _write(folder, card, target, overwrite=overwrite)
    _say(voice, found, calibration, card, target)


def _target(
    folder: Path, images: Path, out: Path | None, *, in_place: bool, overwrite: bool
) -> Path:
    """Return the folder that is written to; refuse what cannot be before any work."""
    from medcyclegan.errors import UsageError
    from medcyclegan.io.atomic import ensure_writable
    from medcyclegan.models.rewrite import is_checkout, is_shipped
    from medcyclegan.models.store import CARD_NAME

    if out is not None:
        if in_place:
            raise UsageError("--out and --in-place", rule="a card is written to one place")
        ensure_writable(out, source=folder, overwrite=overwrite, folder=True)
        return out
    if is_shipped(folder) and not (in_place and is_checkout()):
        raise UsageError(
            f"The model {folder.name} is a shipped one",
            rule="its card is written in a checkout alone, and with --in-place",
            remedy="add --out DIR for a copy",
        )
    ensure_writable(folder / CARD_NAME, source=images, overwrite=True)
    return folder


def _with_reverse(card: Card, reverse: str) -> Card:
    """Return the card with another way back; refuse one that is not there, or of no use."""
    from medcyclegan.errors import UsageError
    from medcyclegan.models.store import find_model, read_card

    if not card.task.makes_ct_of_mr:
        raise UsageError(
            f"--reverse for {card.name}, which makes no CT of MR",
            rule="the way back is measured of models from MR to CT",
            remedy="leave it out",
        )
    read_card(find_model(reverse))
    return type(card).model_validate({**card.model_dump(), "reverse": reverse})


def _counter(progress: Any, total: int) -> Any:
    done = 0

    def count(_: object) -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return count


def _write(folder: Path, card: Card, target: Path, *, overwrite: bool) -> None:
    from medcyclegan.models.rewrite import copy_with_card, write_card

    if target == folder:
        write_card(folder, card)
    else:
        copy_with_card(folder, card, to=target, overwrite=overwrite)


def _say(
    voice: Voice, found: ReferenceFolder, calibration: Calibration, card: Card, target: Path
) -> None:
    """Print what was measured and written: as JSON, or lines for people."""
    from medcyclegan.quality.calibration import false_alarms

    subjects = len({one.subject for one in calibration.measured if not one.refused})
    alarms = false_alarms(calibration.measured)
    assert card.reference_ranges is not None  # they were just measured
    ranges = card.reference_ranges.ranges
    warnings = [*found.warnings, *_warnings(calibration, subjects)]
    images = sum(not one.refused for one in calibration.measured)
    if voice.json:
        facts = {
            "written": str(target), "model": card.name, "images": images, "people": subjects,
            "pairs": len(calibration.samples), "rank": calibration.rank,
            "ranges": {name: [one.low, one.high] for name, one in ranges.items()},
            "false_alarms": {name: list(odd) for name, odd in alarms}, "warnings": warnings,
        }  # fmt: skip
        click.echo(json.dumps(facts, indent=2))
        return
    for warning in warnings:
        voice.warn(warning)
    voice.say(f"Card          {target}")
    voice.say(f"Measured on   {_counted(images, 'image')} of {_people(subjects)}")
    for name, one in ranges.items():
        voice.say(f"              {name:22} {one.low:.4g} to {one.high:.4g}")
    if subjects > 1:
        voice.say(f"False alarms  {len(alarms)} of {images}, {_LEFT_OUT}")
    for name, odd in alarms:
        voice.say(f"              {name}: {', '.join(odd)}")
    if calibration.curve is not None:
        voice.say(
            f"Uncertainty   fitted on {calibration.curve.fitted_on}; rank correlation of spread "
            f"and error {calibration.rank:.2f}"
        )


_LEFT_OUT = "each held against ranges measured without its person"


def _warnings(calibration: Calibration, subjects: int) -> list[str]:
    """Sentences on images that were refused, and on too few people."""
    said = [
        f"{one.name} was refused and is left out: {one.refused}"
        for one in calibration.measured
        if one.refused
    ]
    if calibration.rank is not None and calibration.curve is None:
        said.append(
            f"The spread of the translations does not tell where errors are (rank correlation "
            f"{calibration.rank:.2f}): the card gets no curve of uncertainty."
        )
    if subjects < FEW_SUBJECTS:
        said.append(
            f"The ranges are of {_people(subjects)}: expect them to flag others; those of "
            f"{FEW_SUBJECTS} people or more are better."
        )
    return said


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
