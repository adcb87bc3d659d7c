"""``medcyclegan models``, ``export``, ``export-onnx`` and ``calibrate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_ending, check_inputs, check_model, check_out, check_run

EXAMPLES = """\b
Examples:
  medcyclegan models
  medcyclegan models show head-mr-ct
"""


@click.group("models", invoke_without_command=True, epilog=EXAMPLES)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models that ship inside the package."""
    if context.invoked_subcommand is not None:
        return
    from medcyclegan.models.store import read_card, shipped_models

    for name, folder in shipped_models().items():
        click.echo(f"{name:16} {read_card(folder).summary}")


@models.command("show", epilog="Example:  medcyclegan models show head-mr-ct")
@click.argument("name")
def show(name: str) -> None:
    """Print the card of the model NAME (or of a model folder)."""
    from medcyclegan.models.store import find_model, read_card

    card = read_card(find_model(name))
    source, target = card.task.source, card.task.target
    click.echo(f"{card.name} {card.version}: {card.summary}")
    click.echo(
        f"\nTask          {source.modality} ({source.unit}) to {target.modality} ({target.unit})"
    )
    click.echo(
        f"Output range  {card.task.target_window.lower:g} to {card.task.target_window.upper:g}"
    )
    click.echo(f"Licence       {card.licence}\nsha256        {card.weights_sha256}")
    click.echo(f"\nIntended use\n  {card.intended_use}\n\nLimits")
    for limit in card.limits:
        click.echo(f"  - {limit}")
    made = card.training
    click.echo(f"\nTraining\n  {made.method}")
    click.echo(f"  {made.steps} steps, seed {made.seed}, {made.hours:g} h on {made.machine}")
    for data in made.data:
        click.echo(f"  - {data.name} ({data.licence}): {data.use}")
    click.echo("\nScores")
    for score in card.scores:
        click.echo(f"  {score.measure:28} {score.value:8g} {score.unit:4} {score.on}")
    if card.reference_ranges is not None:
        click.echo(
            f"\nReference ranges of {len(card.reference_ranges.ranges)} features, measured on"
        )
        for measured in card.reference_ranges.measured_on:
            images = "1 image" if measured.images == 1 else f"{measured.images} images"
            click.echo(f"  - {measured.name} ({measured.licence}): {images}")
    if card.uncertainty is not None:
        click.echo(f"\nCurve of uncertainty, fitted on {card.uncertainty.fitted_on}")


EXPORT_EXAMPLES = """\b
Examples:
  medcyclegan export run/ --out my_model/
  medcyclegan export run/ --out ct_mr/ --direction b-to-a --weights best
  medcyclegan export run/ --out my_model/ --name hospital-mr-ct --licence CC-BY-4.0
"""


@click.command("export", epilog=EXPORT_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Model folder to make.")
@click.option(
    "--direction",
    type=click.Choice(["a-to-b", "b-to-a"]),
    default="a-to-b",
    show_default=True,
    help="Which of the two generators.",
)
@click.option(
    "--weights",
    type=click.Choice(["last", "best"]),
    default="last",
    show_default=True,
    help="Those of the last checkpoint, or those with the lowest error in validation.",
)
@click.option("--simulated", is_flag=True, help="Say on the card that the data were simulated.")
@click.option("--name", help="Name of the model on its card. Default: of the configuration.")
@click.option("--licence", help="Licence of the weights, on the card.")
@click.option("--intended-use", help="What the model is meant for, on the card.")
@voice_options
def export(
    *,
    voice: Voice,
    run: Path,
    out: Path,
    direction: str,
    weights: str,
    simulated: bool,
    **said: str | None,
) -> None:
    """Make a model folder from the run folder RUN, for synth-ct and translate."""
    check_run(run)
    check_out(out)
    from medcyclegan import __version__
    from medcyclegan.core.text import counted
    from medcyclegan.training.export import CardChanges, export_run
    from medcyclegan.training.run_folder import RunFolder

    card = export_run(
        RunFolder(run),
        out,
        direction="b-to-a" if direction == "b-to-a" else "a-to-b",
        best=weights == "best",
        version=__version__,
        changes=CardChanges(**said, simulated=simulated),
    )
    voice.say_paths([out], model=card.name, steps=card.training.steps, sha256=card.weights_sha256)
    steps = counted(card.training.steps, "step")
    voice.say(f"{card.summary}; {steps}, sha256 {card.weights_sha256[:12]}")


EXPORT_ONNX_EXAMPLES = """\b
Examples:
  medcyclegan export-onnx head-mr-ct --out head_mr_ct.onnx
  medcyclegan export-onnx my_model/ --out my_model.onnx --overwrite
"""


@click.command("export-onnx", epilog=EXPORT_ONNX_EXAMPLES)
@click.argument("model")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="ONNX file to make, *.onnx."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@voice_options
def export_onnx(*, voice: Voice, model: str, out: Path, overwrite: bool) -> None:
    """Write the network of MODEL, a shipped model or a model folder, as an ONNX file.

    The network alone: what is done to a scan before and after it is told in docs/export.md. A
    model folder is made from a training by "medcyclegan export".
    """
    check_ending(out, ".onnx", what="an ONNX file")
    check_model(model)
    check_out(out)
    from medcyclegan import __version__
    from medcyclegan.models.onnx_file import write_onnx
    from medcyclegan.models.store import load_model

    opened = load_model(model)
    written = write_onnx(opened, out, version=__version__, overwrite=overwrite)
    voice.say_paths(
        [out],
        model=opened.card.name,
        weights_sha256=opened.card.weights_sha256,
        opset=written.opset,
        largest_difference=written.largest_difference,
    )
    voice.say(
        f"{opened.card.name}, opset {written.opset}; onnxruntime and torch differ by at most "
        f"{written.largest_difference:.1g} of the range -1 to 1"
    )


if TYPE_CHECKING:
    from medcyclegan.models.card import Card, ReferenceRanges
    from medcyclegan.workflow.calibrate import Calibration
    from medcyclegan.workflow.reference_images import ReferenceFolder

# Ranges of fewer people than this are narrow, and flag many others.
FEW_SUBJECTS = 8

CALIBRATE_EXAMPLES = """\b
Examples:
  medcyclegan calibrate my_model/ --images held_out/mr
  medcyclegan calibrate my_model/ --images held_out/mr --pairs held_out/ct
  medcyclegan calibrate head-mr-ct --images our_heads/ --extend --out our_head_mr_ct/
"""


@click.command("calibrate", epilog=CALIBRATE_EXAMPLES)
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

    The features of the images become the reference ranges of MODEL, a model folder or the name of a
    shipped model. With true images, the error that goes with a spread becomes its curve of
    uncertainty. Both are written onto the model's card, whole or not at all.
    """
    check_model(model)
    check_inputs(images, pairs)
    check_model(reverse)
    from dataclasses import replace

    from medcyclegan.models.store import find_model, load_model
    from medcyclegan.workflow.calibrate import ImageSet, calibrated_card
    from medcyclegan.workflow.calibrate import calibrate as run
    from medcyclegan.workflow.reference_images import find_reference_images

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
    known = opened.card.reference_ranges if extend else None
    _say(voice, found, calibration, card, target, known=known)


def _target(
    folder: Path, images: Path, out: Path | None, *, in_place: bool, overwrite: bool
) -> Path:
    """Return the folder that is written to; refuse what cannot be before any work."""
    from medcyclegan.errors import UsageError
    from medcyclegan.io.atomic import ensure_writable
    from medcyclegan.models.store import CARD_NAME, is_checkout, is_shipped

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
    from medcyclegan.models.store import copy_with_card, write_card

    if target == folder:
        write_card(folder, card)
    else:
        copy_with_card(folder, card, to=target, overwrite=overwrite)


def _say(
    voice: Voice, found: ReferenceFolder, calibration: Calibration, card: Card, target: Path,
    *, known: ReferenceRanges | None,
) -> None:  # fmt: skip
    """Print what was measured and written: as JSON, or lines for people.

    ``known``: the ranges that the card had, where they were widened.
    """
    from medcyclegan.workflow.calibrate import false_alarms

    subjects = len({one.subject for one in calibration.measured if not one.refused})
    alarms = false_alarms(calibration.measured, known=known)
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
    if subjects > 1 or known is not None:
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
