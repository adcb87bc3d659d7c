"""What of a command line can be refused before torch and the readers are imported.

These take seconds to import, and most refusals are of a mistyped path. Whatever passes here is
checked again, and further, by what does the work; the errors are the same ones.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.discover import refuse_irregular
from medcyclegan.models.folders import find_model


def check_inputs(*paths: Path | str | None) -> None:
    """Raise InputRefused if one of the paths that are given leads nowhere, or to a pipe."""
    for path in paths:
        if path is not None:
            refuse_irregular(Path(path))


def check_named_inputs(given: Iterable[str]) -> None:
    """As ``check_inputs`` for ``PATH`` or ``NAME=PATH`` each; a path may hold an equals sign."""
    for text in given:
        _, sign, path = text.partition("=")
        if not os.path.lexists(text):
            check_inputs(path if sign and path else text)


def check_model(name: str | None) -> None:
    """Raise ModelRefused if there is neither a shipped model of this name nor a model folder."""
    if name is not None:
        find_model(name)


def check_out(out: Path | None) -> None:
    """Raise CannotWrite if the folder that an output goes into is not there."""
    if out is None or out.parent.is_dir():
        return
    is_file = out.parent.exists()
    raise CannotWrite(
        f"Cannot write {out}: {os.strerror(errno.ENOTDIR if is_file else errno.ENOENT)}",
        remedy="choose a path whose parents are folders, not files"
        if is_file
        else "create its parent folder first",
    )


def check_run(root: Path) -> None:
    """Raise UsageError if a folder is none of a training."""
    if not (root / "config.yaml").is_file():
        raise UsageError(
            f"{root} holds no run", rule="a run folder holds config.yaml", remedy="see --out"
        )


def check_ending(out: Path, ending: str, *, what: str) -> None:
    """Raise UsageError if the name of an output does not end as it must."""
    if out.suffix.lower() != ending:
        raise UsageError(f"--out {out}", rule=f"{what} is called *{ending}", remedy="rename it")
