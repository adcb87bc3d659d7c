"""``medcyclegan export-bundle``."""

from __future__ import annotations

from pathlib import Path

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.cli.paths import check_model, check_out

EXAMPLES = """\b
Examples:
  medcyclegan export-bundle head-mr-ct --out head_mr_ct_bundle/
  medcyclegan export-bundle my_model/ --out my_bundle/ --overwrite
"""


@click.command("export-bundle", epilog=EXAMPLES)
@click.argument("model")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option("--overwrite", is_flag=True, help="Replace the folder of an earlier export.")
@voice_options
def export_bundle(*, voice: Voice, model: str, out: Path, overwrite: bool) -> None:
    """Write MODEL, a shipped model or a model folder, as a MONAI bundle.

    "python -m monai.bundle run" makes the voxels of synth-ct with it; it needs medcyclegan.
    """
    check_model(model)
    check_out(out)
    from medcyclegan import __version__
    from medcyclegan.models.store import load_model
    from medcyclegan.workflow.bundle_export import write_bundle

    opened = load_model(model)
    written = write_bundle(opened, out, version=__version__, overwrite=overwrite)
    voice.say_paths(
        [out],
        model=opened.card.name,
        card_sha256=opened.card.weights_sha256,
        weights_sha256=written.weights_sha256,
    )
    voice.say(f"{opened.card.name}, weights in float32, sha256 {written.weights_sha256[:12]}")
