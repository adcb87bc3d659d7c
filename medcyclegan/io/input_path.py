"""Whether there is a file or folder at a path, found out before any reader is imported."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from medcyclegan.errors import InputRefused


def refuse_irregular(path: Path) -> None:
    """Refuse what is missing, and pipes and devices, which may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise InputRefused(
            f"{path}: cannot be read ({reason})", remedy="check the path and its permissions"
        ) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputRefused(
            f"{path}: a pipe, socket or device",
            rule="a file or a folder is read",
            remedy="copy the image into a file",
        )


def refuse_no_tree(root: Path) -> None:
    """Raise InputRefused if ``root`` is no folder that a batch can look for scans in."""
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        raise InputRefused(
            f"{root} is no folder that can be read",
            rule="a batch takes a folder with scans in it",
            remedy="check the path and its permissions; for one scan there is synth-ct",
        )
