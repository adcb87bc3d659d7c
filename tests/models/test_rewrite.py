"""A card is written whole or not at all: killed, on a full disk, over a folder of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.models.store import (
    copy_with_card,
    is_shipped,
    load_model,
    read_card,
    shipped_models,
    write_card,
)
from tests.tiny_model import known, tiny_folder

NEW = known(body_litres=(1.0, 2.0))

# Writes the card and is killed in the middle of it, or may write no more than some bytes.
BROKEN = """
import os, resource, signal, sys
from pathlib import Path
from medcyclegan.models.store import write_card
from medcyclegan.models.store import read_card
from tests.tiny_model import known

how, folder = sys.argv[1], Path(sys.argv[2])
card = read_card(folder).model_copy(update={"reference_ranges": known(body_litres=(1.0, 2.0))})
if how == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
else:
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    import medcyclegan.io.atomic as atomic
    setattr(atomic, {"writing": "flush", "renaming": "_put_file"}[how], die)
try:
    write_card(folder, card)
except Exception as error:
    sys.exit(type(error).__name__)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("how", ["writing", "renaming", "full"])
def test_a_run_that_breaks_leaves_the_old_card_and_the_next_one_works(
    tmp_path: Path, how: str
) -> None:
    folder = tiny_folder(tmp_path / "tiny")
    before = (folder / "card.json").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, how, str(folder)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == (1 if how == "full" else -9), done.stderr
    assert how != "full" or "CannotWrite" in done.stderr
    assert (folder / "card.json").read_bytes() == before
    load_model(folder)
    write_card(folder, read_card(folder).model_copy(update={"reference_ranges": NEW}))
    assert load_model(folder).card.reference_ranges == NEW
    assert {path.name for path in folder.iterdir()} == {"card.json", "weights.safetensors"}


def test_a_copy_has_the_weights_and_is_replaced_when_asked_for(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "tiny")
    card = read_card(folder).model_copy(update={"reference_ranges": NEW})
    before = (folder / "card.json").read_bytes()
    copy_with_card(folder, card, to=tmp_path / "copy")
    assert load_model(tmp_path / "copy").card == card
    assert (folder / "card.json").read_bytes() == before
    with pytest.raises(CannotWrite, match="exists already"):
        copy_with_card(folder, card, to=tmp_path / "copy")
    copy_with_card(folder, read_card(folder), to=tmp_path / "copy", overwrite=True)
    assert load_model(tmp_path / "copy").card.reference_ranges is None
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="did not write"):
        copy_with_card(folder, card, to=tmp_path / "copy", overwrite=True)


def test_which_models_are_shipped(tmp_path: Path) -> None:
    assert not is_shipped(tiny_folder(tmp_path / "head-mr-ct"))
    assert all(is_shipped(folder) for folder in shipped_models().values())
