"""Options and output that commands share."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Progressed = Callable[[int, int], None]

# Between two lines of progress where no bar can be shown.
SECONDS_BETWEEN_LINES = 10.0


class _LogLines(logging.Formatter):
    """Warnings look as those that commands give; other records tell their module, for -v."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        is_ours = record.levelno == logging.WARNING and record.exc_info is None
        return f"Warning: {record.getMessage()}" if is_ours else super().format(record)


class ProgressLines:
    """Progress as lines of a log: one every ten seconds at most, and none of what is quick."""

    def __init__(self, label: str) -> None:
        self._label, self._next_s = label, time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + SECONDS_BETWEEN_LINES
            click.echo(f"{self._label}: {done / max(total, 1):.0%}", err=True)


@dataclass(frozen=True)
class Voice:
    """How much to say: ``level`` -1 errors and warnings only, 0 the usual, 1 details."""

    level: int
    debug: bool
    json: bool

    def start_logging(self) -> None:
        """Send the library's log to stderr, from warnings on, or all with ``--debug``."""
        level = logging.DEBUG if self.debug else logging.INFO if self.level > 0 else logging.WARNING
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_LogLines("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(handlers=[handler])
        logging.getLogger("medcyclegan").setLevel(level)
        if not self.debug:
            warnings.simplefilter("ignore")  # of libraries; ours are sentences in the summary
            # It warns of a home that cannot be written to, which takes it some seconds and no more.
            logging.getLogger("matplotlib").setLevel(logging.ERROR)

    def say(self, text: str) -> None:
        """Print a line of the usual output."""
        if self.level >= 0 and not self.json:
            click.echo(text)

    def say_paths(self, paths: list[Path], **facts: object) -> None:
        """Print the paths that were written, or with ``--json`` an object of them and ``facts``."""
        if self.json:
            click.echo(json.dumps({"written": [str(path) for path in paths], **facts}, indent=2))
        for path in paths:
            self.say(str(path))

    def warn(self, text: str) -> None:
        """Print a warning to stderr."""
        click.echo(f"Warning: {text}", err=True)

    @contextmanager
    def progress(self, label: str) -> Iterator[Progressed]:
        """Show a bar with the time left on stderr; gives what to call with (done, total).

        Where stderr is no terminal, as in the log of a cluster, a line is written now and then.
        """
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        quiet = self.level < 0 or self.json
        if not quiet and not console.is_terminal:
            yield ProgressLines(label)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def voice_options(command: Command) -> Command:
    """Add ``--json``, ``-v``, ``-q`` and ``--debug``; the command gets them as one ``voice``."""

    def gather(**kwargs: Any) -> Any:
        level = -1 if kwargs.pop("quiet") else int(kwargs.pop("verbose"))
        kwargs.pop("verbose", None)
        voice = Voice(level=level, debug=kwargs.pop("debug"), json=kwargs.pop("as_json", False))
        voice.start_logging()
        return command(voice=voice, **kwargs)

    gather.__name__ = command.__name__
    gather.__doc__ = command.__doc__
    gather.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors."),
        click.option("--debug", is_flag=True, help="Show tracebacks and all of the log."),
    )
    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
