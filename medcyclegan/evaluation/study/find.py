"""Find the images of one argument: a file, a DICOM series, or a folder of either."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.case_names import (
    IMAGE_ENDINGS,
    Role,
    case_names,
    fitness,
    patient,
    says_other,
    stem,
)
from medcyclegan.io.dicom.read import is_dicom
from medcyclegan.io.links import leads_nowhere
from medcyclegan.io.read import refuse_irregular
from medcyclegan.pathtext import path_text

# What ``fitness`` gives for a name that says the kind of image.
_SAYS_SO = 2


@dataclass(frozen=True)
class Images:
    """The images of one kind that an argument names, a path for each patient.

    ``by_case`` holds what can be used; ``unclear`` why a patient's image could not be told.
    ``alone`` says that the argument names one image, which belongs to the one patient there is.
    ``links`` are those to folders, which are not looked into, and those that lead nowhere.
    """

    by_case: dict[str, Path]
    unclear: dict[str, str]
    alone: bool
    links: tuple[Path, ...] = ()


def find_images(root: Path, *, role: Role) -> Images:
    """List the images at or below ``root``.

    Where several images of a patient lie there, the one whose name says ``role`` is taken. Where
    some image says ``role``, those that say another kind stand for none of it: a patient whose
    synthetic CT is missing has none, and not the CT that lies beside.

    Raises
    ------
    InputRefused
        If the path cannot be read, or there is no image.
    """
    refuse_irregular(root)
    if root.is_file() or _holds_slices(root):
        return Images({_own_name(root): root}, {}, alone=True)
    links: list[Path] = []
    paths = _paths(root, links)
    if not paths:
        raise InputRefused(
            f"{root} holds no images" + (f", but {len(links)} links" if links else ""),
            rule=f"what is looked for is DICOM series and {', '.join(IMAGE_ENDINGS)}",
            remedy="name the folder of the images",
        )
    if any(fitness(stem(path.name), role) == _SAYS_SO for path in paths):
        paths = [path for path in paths if not says_other(stem(path.name), role)]
    chosen: dict[str, Path] = {}
    unclear: dict[str, str] = {}
    for case, group in _by_case(root, paths).items():
        best = max(fitness(stem(path.name), role) for path in group)
        fitting = [path for path in group if fitness(stem(path.name), role) == best]
        if best < 0:
            continue
        if len(fitting) == 1:
            chosen[case] = fitting[0]
        else:
            names = ", ".join(path_text(path.name) for path in fitting)
            unclear[case] = f"{len(fitting)} images could be it: {names}"
    return Images(chosen, unclear, alone=False, links=tuple(links))


def _own_name(path: Path) -> str:
    name = stem(path_text(path.name))
    return patient(name) or patient(path_text(path.absolute().parent.name)) or name


def _paths(root: Path, links: list[Path]) -> list[Path]:
    """All images below ``root``; links to folders are not followed, and added to ``links``."""
    found = []
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(here)
        for name in sorted(files):
            if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith("."):
                found.append(place / name)
            elif leads_nowhere(place / name):
                links.append(place / name)
        for name in list(folders):
            if _holds_slices(place / name):
                found.append(place / name)
                folders.remove(name)
            elif (place / name).is_symlink():
                links.append(place / name)
    return found


def _by_case(root: Path, paths: list[Path]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    cases = case_names([path.relative_to(root) for path in paths])
    for case, path in zip(cases, paths, strict=True):
        groups[case].append(path)
    return dict(sorted(groups.items()))


def _holds_slices(folder: Path) -> bool:
    """Whether DICOM files lie in the folder itself, apart from those in folders below it."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower().endswith(IMAGE_ENDINGS):
            continue
        if path.is_file() and is_dicom(path):
            return True
    return False
