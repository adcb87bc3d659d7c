"""The configurations that come along, found from a wheel, an editable install or a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from medcyclegan.errors import UsageError


def shipped_configs() -> dict[str, Path]:
    """Names and files of the configurations of ``medcyclegan train``."""
    package = Path(str(files("medcyclegan")))
    # A wheel has them inside the package; a checkout, installed or not, beside it.
    folder = next(
        (place for place in (package / "configs", package.parent / "configs") if place.is_dir()),
        package,
    )
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_config(name_or_path: str) -> Path:
    """Return a shipped configuration, by name, or a file of one's own.

    Raises
    ------
    UsageError
        If there is neither.
    """
    shipped = shipped_configs()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise UsageError(
        f"No configuration {name_or_path}",
        rule=f"it is one of {', '.join(shipped)}, or a YAML file",
        remedy="see: medcyclegan config list",
    )
