"""``medcyclegan export-onnx``."""

from __future__ import annotations

from pathlib import Path

import click

from medcyclegan.cli.common import Voice, voice_options

EXAMPLES = """\b
Examples:
  medcyclegan export-onnx head-mr-ct --out head_mr_ct.onnx
  medcyclegan export-onnx my_model/ --out my_model.onnx --overwrite
"""


@click.command("export-onnx", epilog=EXAMPLES)
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
    from medcyclegan import __version__
    from medcyclegan.interchange.onnx_file import write_onnx
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
