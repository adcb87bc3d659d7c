"""Find the images of one argument: a file, a DICOM series, or a folder of either."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.names import (
    IMAGE_ENDINGS,
    Role,
    composed,
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


@dataclass(frozen=True)
class _Item:
    path: Path
    name: str
    case: str
    folder: str


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
    items = _items(root, links)
    if not items:
        raise InputRefused(
            f"{root} holds no images" + (f", but {len(links)} links" if links else ""),
            rule=f"what is looked for is DICOM series and {', '.join(IMAGE_ENDINGS)}",
            remedy="name the folder of the images",
        )
    if any(fitness(item.name, role) == _SAYS_SO for item in items):
        items = [item for item in items if not says_other(item.name, role)]
    chosen: dict[str, Path] = {}
    unclear: dict[str, str] = {}
    for case, group in _grouped(items).items():
        best = max(fitness(item.name, role) for item in group)
        fitting = [item for item in group if fitness(item.name, role) == best]
        if best < 0:
            continue
        if len(fitting) == 1:
            chosen[case] = fitting[0].path
        else:
            names = ", ".join(path_text(item.path.name) for item in fitting)
            unclear[case] = f"{len(fitting)} images could be it: {names}"
    return Images(chosen, unclear, alone=False, links=tuple(links))


def _own_name(path: Path) -> str:
    name = stem(path_text(path.name))
    return patient(name) or patient(path_text(path.absolute().parent.name)) or name


def _items(root: Path, links: list[Path]) -> list[_Item]:
    """All images below ``root``; links to folders are not followed, and added to ``links``."""
    found = []
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(here)
        for name in sorted(files):
            if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith("."):
                found.append(_item(root, place / name))
            elif leads_nowhere(place / name):
                links.append(place / name)
        for name in list(folders):
            if _holds_slices(place / name):
                found.append(_item(root, place / name))
                folders.remove(name)
            elif (place / name).is_symlink():
                links.append(place / name)
    return found


def _item(root: Path, path: Path) -> _Item:
    """Name the patient by the image's own name, or else by the nearest folder that names one."""
    inner = path.relative_to(root)
    name, folder = stem(path_text(path.name)), composed(path_text(inner.parent))
    names = [name, *reversed(folder.split("/"))]
    case = next((found for found in map(patient, names) if found), name)
    return _Item(path, name, case, folder)


def _grouped(items: list[_Item]) -> dict[str, list[_Item]]:
    """Items by patient; where folders repeat a patient's name, the folder becomes part of it."""
    groups: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        groups[item.case].append(item)
    apart: dict[str, list[_Item]] = defaultdict(list)
    for case, group in groups.items():
        several = len({_case_folder(item) for item in group}) > 1
        for item in group:
            apart[_long_name(item) if several else case].append(item)
    return dict(sorted(apart.items()))


def _case_folder(item: _Item) -> str:
    """The folder of the patient's images, without folders at its end that name their kind."""
    parts = item.folder.split("/")
    while len(parts) > 1 and not patient(parts[-1]):
        parts.pop()
    return "/".join(parts)


def _long_name(item: _Item) -> str:
    folder = _case_folder(item)
    if folder == ".":
        return item.case
    return folder if patient(folder.split("/")[-1]) == item.case else f"{folder}/{item.case}"


def _holds_slices(folder: Path) -> bool:
    """Whether DICOM files lie in the folder itself, apart from those in folders below it."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower().endswith(IMAGE_ENDINGS):
            continue
        if path.is_file() and is_dicom(path):
            return True
    return False
