"""The entry point: commands by name, errors as one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import version
from typing import NoReturn

import click

from medcyclegan.cli.batch import batch
from medcyclegan.cli.config import config
from medcyclegan.cli.demo import demo
from medcyclegan.cli.denoise_ct import denoise_ct
from medcyclegan.cli.enhance_xray import enhance_xray
from medcyclegan.cli.evaluate import evaluate
from medcyclegan.cli.export import export
from medcyclegan.cli.models import models
from medcyclegan.cli.phantom import phantom
from medcyclegan.cli.simulate import simulate
from medcyclegan.cli.synth_ct import synth_ct
from medcyclegan.cli.train import train
from medcyclegan.cli.translate import translate
from medcyclegan.errors import ExitCode, MedcycleganError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 our fault, 2 usage, 3 input refused, 4 cannot write, "
    "5 model refused, 6 device or memory, 7 training stopped, 8 some refused, 130 interrupted. "
    "Research use only.",
)
@click.version_option(version("medcyclegan"), message="medcyclegan %(version)s")
def cli() -> None:
    """Turn one kind of medical image into another: MR into synthetic CT first of all.

    \b
    Example:
      medcyclegan synth-ct --mri head_t1.nii.gz
    """


cli.add_command(synth_ct)
cli.add_command(translate)
cli.add_command(denoise_ct)
cli.add_command(batch)
cli.add_command(demo)
cli.add_command(phantom)
cli.add_command(models)
cli.add_command(simulate)
cli.add_command(enhance_xray)
cli.add_command(train)
cli.add_command(export)
cli.add_command(config)
cli.add_command(evaluate)


def main() -> NoReturn:
    """Run the command line; never returns, the exit code says how it went."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except MedcycleganError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("Interrupted; no file under a final name is incomplete.", ExitCode.INTERRUPTED)
    except MemoryError:
        _fail(
            "Not enough memory. Free some, or give a scan with a smaller field of view.",
            ExitCode.DEVICE_OR_MEMORY,
        )
    except Exception as error:
        _fail(
            f"A fault of medcyclegan: {type(error).__name__}. Run again with --debug and report "
            "what it prints (look through it for patient data first).",
            ExitCode.OUR_FAULT,
        )
    sys.exit(ExitCode.DONE)


def _fail(message: str, code: ExitCode) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
