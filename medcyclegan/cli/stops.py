"""How the process takes signals, and streams that cannot take what is printed."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from types import FrameType

from medcyclegan.errors import ExitCode

# Of writing to stdout, which may be a file: the disk is full, or the file at its limit.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
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
