"""Model folders by name or path, found without opening them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from medcyclegan.errors import ModelRefused

CARD_NAME = "card.json"
WEIGHTS_NAME = "weights.safetensors"


def shipped_models() -> dict[str, Path]:
    """Names and folders of the models inside the package."""
    root = Path(str(files("medcyclegan.models") / "weights"))
    if not root.is_dir():
        return {}
    return {folder.name: folder for folder in sorted(root.iterdir()) if folder.is_dir()}


def find_model(name_or_folder: str | Path) -> Path:
    """Return the folder of a shipped model, by name, or a model folder of one's own.

    Raises
    ------
    ModelRefused
        If there is neither.
    """
    shipped = shipped_models()
    if str(name_or_folder) in shipped:
        return shipped[str(name_or_folder)]
    folder = Path(name_or_folder)
    if (folder / CARD_NAME).is_file():
        return folder
    raise ModelRefused(
        f"No model {name_or_folder}",
        rule=f"a model is one of {', '.join(shipped) or 'none shipped'}, or a folder with "
        f"{CARD_NAME} and {WEIGHTS_NAME}",
        remedy="see: medcyclegan models",
    )
