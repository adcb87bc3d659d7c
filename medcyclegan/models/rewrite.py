"""Another card for a model folder, in place or in a copy, whole or not at all."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

from medcyclegan.io.atomic import atomic_file, atomic_folder
from medcyclegan.io.targets import COMPLETION_RECORD
from medcyclegan.models.card import Card
from medcyclegan.models.store import CARD_NAME, WEIGHTS_NAME, shipped_models


def write_card(folder: Path, card: Card) -> None:
    """Replace the card in a model folder; a run that is killed leaves the old one whole.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    with atomic_file(folder / CARD_NAME, overwrite=True) as part:
        part.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def copy_with_card(folder: Path, card: Card, *, to: Path, overwrite: bool = False) -> None:
    """Copy a model folder's weights and put ``card`` beside them, whole or not at all.

    Raises
    ------
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, or holds what medcyclegan did not write.
    """
    with atomic_folder(to, overwrite=overwrite) as part:
        shutil.copyfile(folder / WEIGHTS_NAME, part / WEIGHTS_NAME)
        text = card.model_dump_json(indent=2) + "\n"
        (part / CARD_NAME).write_text(text, encoding="utf-8")
        # by this list the folder is known as ours, and may be replaced
        record = {"written_by": "medcyclegan", "files": [CARD_NAME, WEIGHTS_NAME]}
        (part / COMPLETION_RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def is_shipped(folder: Path) -> bool:
    """Whether a model folder is one of those inside the package."""
    return folder.resolve() in {shipped.resolve() for shipped in shipped_models().values()}


def is_checkout() -> bool:
    """Whether the package runs from its source tree, whose files are its user's own."""
    return (Path(str(files("medcyclegan"))).parent / "pyproject.toml").is_file()
