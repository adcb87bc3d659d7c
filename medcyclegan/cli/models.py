"""``medcyclegan models``."""

from __future__ import annotations

import click

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
        click.echo(f"\nReference ranges of {len(card.reference_ranges.ranges)} signs, measured on")
        for measured in card.reference_ranges.measured_on:
            images = "1 image" if measured.images == 1 else f"{measured.images} images"
            click.echo(f"  - {measured.name} ({measured.licence}): {images}")
    if card.uncertainty is not None:
        click.echo(f"\nCurve of uncertainty, fitted on {card.uncertainty.fitted_on}")
