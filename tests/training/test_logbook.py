"""What a logbook says where it cannot write."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.training.run_folder import Logbook, RunFolder


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def logbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logbook:
    """One whose board cannot be closed, as its last events find no room."""
    opened = Logbook(RunFolder(tmp_path), step=0)
    opened._board.close()
    monkeypatch.setattr(opened._board, "close", full_disk)
    return opened


def test_the_board_names_itself(logbook: Logbook) -> None:
    with pytest.raises(CannotWrite, match=r"tensorboard: No space left on device; free"), logbook:
        pass


def test_the_board_does_not_hide_what_was_refused_first(logbook: Logbook) -> None:
    with pytest.raises(CannotWrite, match=r"last\.pt"), logbook:
        raise CannotWrite("Cannot write last.pt")
