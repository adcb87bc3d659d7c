"""A row of the matrix of odd inputs, and how it is run."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from medcyclegan.cli.main import main
from medcyclegan.errors import ExitCode

Make = Callable[[Path], Path]
Check = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Case:
    """One odd input and what becomes of it.

    Parameters
    ----------
    name:
        The input, in words.
    make:
        Makes it in an empty folder and returns what is given to ``--mri``.
    does:
        What medcyclegan does with it, in words.
    says:
        What the error or the warning on stderr must hold; no warning may be there if it is empty.
    code:
        The exit code.
    options:
        More of the command line; ``{in}`` and ``{out}`` are the folders of input and output,
        ``{model}`` that of a model.
    out:
        Name of the output.
    check:
        Called with input and output of a conversion.
    bounded:
        Whether it is run again in a process whose memory is limited.
    row:
        The row of the page, if several cases share one.
    """

    name: str
    make: Make
    does: str
    says: tuple[str, ...] = ()
    code: ExitCode = ExitCode.INPUT_REFUSED
    options: tuple[str, ...] = ()
    out: str = "sct.nii.gz"
    check: Check | None = None
    bounded: bool = False
    row: str = ""


@dataclass(frozen=True)
class Family:
    """A table of cases; ``control`` is a good input of their kind, which must be converted."""

    title: str
    control: Case
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line left: exit code, texts, and the exception behind the code."""

    code: int
    stdout: str
    stderr: str
    error: BaseException | None = field(repr=False)


def converted(
    name: str, make: Make, does: str, *, check: Check | None = None, says: tuple[str, ...] = ()
) -> Case:
    """Make a case that is converted to NIfTI, with the warnings that are in ``says``."""
    return Case(name, make, does, says=says, code=ExitCode.DONE, check=check)


def run_case(case: Case, source: Path, out: Path, model: Path) -> Outcome:
    """Run ``synth-ct`` on an input that was made, in this process."""
    names = {"in": source.parent, "out": out, "model": model}
    options = [option.format(**names) for option in case.options]
    if "--model" not in options:
        options += ["--model", str(model)]
    return run_cli(["synth-ct", "--mri", str(source), "--out", str(out / case.out), *options])


def run_cli(arguments: list[str]) -> Outcome:
    """Run the command line as the shell would, and keep what it says."""
    stdout, stderr = io.StringIO(), io.StringIO()
    stop: SystemExit | None = None
    with (
        patch.object(sys, "argv", ["medcyclegan", *arguments]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        warnings.catch_warnings(),
    ):
        try:
            main()
        except SystemExit as error:
            stop = error
    assert stop is not None
    return Outcome(int(stop.code or 0), stdout.getvalue(), stderr.getvalue(), stop.__context__)
