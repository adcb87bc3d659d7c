"""Symbolic links that are not followed: those that lead nowhere, or out of the input.

An input is what lies below its folder. A link out of it could lead anywhere, so it is left where it
is; but what it stands for is then missing, which is said.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def leads_nowhere(path: Path) -> bool:
    """Whether a path is a link without a target, or a loop of links."""
    return path.is_symlink() and not path.exists()


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is a link to something that exists and does not lie below ``root``.

    By realpath, as Path.resolve raises for loops.
    """
    if not path.is_symlink() or not path.exists():
        return False
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def files_behind(link: Path) -> Iterator[Path]:
    """The regular file that a link leads to, or those in the folder that it leads to."""
    inner = sorted(link.iterdir()) if link.is_dir() else [link]
    for path in inner:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                yield path
        except OSError:
            continue


def named(paths: list[Path], *, most: int = 3) -> str:
    """The names of some files, the first few of them."""
    shown = ", ".join(path.name for path in paths[:most])
    return shown if len(paths) <= most else f"{shown} and {len(paths) - most} more"
