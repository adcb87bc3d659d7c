"""``medcyclegan export``."""

from __future__ import annotations

from pathlib import Path

import click

from medcyclegan.cli.common import Voice, voice_options

EXAMPLES = """\b
Examples:
  medcyclegan export run/ --out my_model/
  medcyclegan export run/ --out ct_mr/ --direction b-to-a --weights best
  medcyclegan export run/ --out my_model/ --name hospital-mr-ct --licence CC-BY-4.0
"""


@click.command("export", epilog=EXAMPLES)
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
    from medcyclegan import __version__
    from medcyclegan.training.export import CardChanges, export_run
    from medcyclegan.training.run_folder import RunFolder
    from medcyclegan.wording import counted

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
