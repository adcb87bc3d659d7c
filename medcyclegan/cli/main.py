"""Entry point: commands by name, signals, errors as one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

import click

from medcyclegan.cli.align import align
from medcyclegan.cli.batch import batch
from medcyclegan.cli.derive import derive
from medcyclegan.cli.enhance_xray import enhance_xray
from medcyclegan.cli.evaluate import evaluate
from medcyclegan.cli.export_bundle import export_bundle
from medcyclegan.cli.models import calibrate, export, export_onnx, models
from medcyclegan.cli.phantom import demo, phantom
from medcyclegan.cli.serve import serve
from medcyclegan.cli.simulate import simulate
from medcyclegan.cli.train import config, train
from medcyclegan.cli.translate import denoise_ct, synth_ct, translate
from medcyclegan.errors import NO_ROOM, ExitCode, MedcycleganError

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Stopped(BaseException):
    """Raised where the program is when a signal asks it to stop."""


class Stops:
    """The first signal that asked the process to stop: it unwinds, so that temporaries go away."""

    def __init__(self) -> None:
        self.code: ExitCode | None = None

    def listen(self) -> None:
        """Turn SIGINT and SIGTERM into ``Stopped``, unless the caller has them ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def _stop(self, number: int, _: FrameType | None) -> None:
        for other in _CODES:  # a second one would cut short the removal of temporaries
            signal.signal(other, signal.SIG_IGN)
        self.code = _CODES[signal.Signals(number)]
        raise Stopped


def bear_any_text() -> None:
    """Let stdout take every path: bytes that are no text as they are, other signs escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def drop_stdout() -> None:
    """Send the rest of stdout nowhere, or Python would complain of it when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def has_temporary_folder() -> bool:
    """Whether the system has a folder for temporary files that can be written to."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return False
    return True


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 our fault, 2 usage, 3 input refused, 4 cannot write, "
    "5 model refused, 6 device or memory, 7 training stopped, 8 some refused, "
    "9 done but not to be trusted, 10 not aligned, 130 interrupted, 141 stdout closed, "
    "143 terminated. "
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
cli.add_command(derive)
cli.add_command(align)
cli.add_command(batch)
cli.add_command(serve)
cli.add_command(demo)
cli.add_command(phantom)
cli.add_command(models)
cli.add_command(simulate)
cli.add_command(enhance_xray)
cli.add_command(train)
cli.add_command(export)
cli.add_command(export_onnx)
cli.add_command(export_bundle)
cli.add_command(calibrate)
cli.add_command(config)
cli.add_command(evaluate)


def main() -> NoReturn:
    """Run the command line; never returns, the exit code says how it went."""
    stops = Stops()
    stops.listen()
    bear_any_text()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except MedcycleganError as error:
        _fail(str(error), error.exit_code)
    except (Stopped, KeyboardInterrupt, click.Abort):
        _interrupted(stops.code or ExitCode.INTERRUPTED)
    except MemoryError:
        _fail(
            "Not enough memory. Free some, or give a scan with a smaller field of view.",
            ExitCode.DEVICE_OR_MEMORY,
        )
    except SystemExit as end:
        if isinstance(end.code, ExitCode):  # a command that ended so by itself
            raise
        # click, where stdout was closed as by "| head -1"
        drop_stdout()
        sys.exit(ExitCode.STDOUT_CLOSED)
    except Exception as error:
        if stops.code is not None:  # an import that is interrupted may fail in any way
            _interrupted(stops.code)
        _unforeseen(error)
    sys.exit(ExitCode.DONE)


def _unforeseen(error: Exception) -> NoReturn:
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        drop_stdout()
        _fail(f"Cannot write: {error.strerror}; free some space.", ExitCode.CANNOT_WRITE)
    if isinstance(error, OSError) and not has_temporary_folder():
        _fail(
            "No folder for temporary files can be written to; some libraries need one; "
            "set TMPDIR to one.",
            ExitCode.CANNOT_WRITE,
        )
    _fail(
        f"A fault of medcyclegan: {type(error).__name__}. Run again with --debug and report "
        "what it prints (look through it for patient data first).",
        ExitCode.OUR_FAULT,
    )


def _interrupted(code: ExitCode) -> NoReturn:
    how = "Interrupted" if code == ExitCode.INTERRUPTED else "Terminated"
    _fail(f"{how}; no file under a final name is incomplete.", code)


def _fail(message: str, code: ExitCode) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
