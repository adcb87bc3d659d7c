"""What holds for all tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conversion_inputs import Run

# A shell starts jobs in the background with Ctrl-C ignored, and the processes that tests start
# would inherit that: those that are to be stopped by it would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, run in this process: exit code, stdout, stderr."""
    from tests.cli.conversion_inputs import runner  # takes seconds, and few tests want it

    return runner(monkeypatch, capsys)
