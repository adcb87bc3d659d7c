"""Discovery of images below a folder: the walk, symbolic links, and the endings of files' names.

The same for a training, a batch and a study, and light: a wrong path is told before any reader is
imported. What a name says of patient and kind of image, ``io.case_names`` tells, and whether a file
is DICOM, ``io.dicom``.

An input is what lies below its folder. A link out of it could lead anywhere, and a link to nowhere
stands for what is missing: whoever passes such links over has to say so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from medcyclegan.errors import InputRefused

# Of files that are a volume, or its header.
VOLUME_ENDINGS = (
    ".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr.gz", ".hdr",
)  # fmt: skip
# Of those, the headers whose voxels are, or may be, in a file beside them; and of such files.
DETACHED_ENDINGS = (".hdr", ".hdr.gz", ".mhd", ".nhdr")
VOXEL_ENDINGS = (".img", ".img.gz", ".raw", ".zraw", ".raw.gz")
PAIR_ENDINGS = (".hdr.gz", ".img.gz", ".hdr", ".img")
# What is written: NIfTI, MetaImage and NRRD, pictures without loss.
NIFTI_WRITTEN = (".nii.gz", ".nii")
ITK_WRITTEN = (".mha", ".mhd", ".nrrd")
PICTURES_WRITTEN = (".png", ".tif", ".tiff")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def ending_of(name: str, endings: Iterable[str]) -> str:
    """The one of ``endings`` (in lower case) that a name has in any case, else nothing."""
    lower = name.lower()
    return next((ending for ending in endings if lower.endswith(ending)), "")


def without_ending(name: str, endings: Iterable[str]) -> str:
    """A name without the one of ``endings`` that it has, if it has one."""
    return name[: len(name) - len(ending_of(name, endings))]


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


@dataclass(frozen=True, eq=False)
class Folder:
    """One folder of a walk, with the names in it, sorted.

    ``files`` are all that are no folders, links among them. What is taken out of ``folders`` is not
    walked into. ``hidden`` files and folders are in neither.
    """

    path: Path
    folders: list[str]
    files: list[str]
    hidden: list[str]


def refuse_unreadable(error: OSError) -> NoReturn:
    """Raise InputRefused for a folder that cannot be opened."""
    raise InputRefused(
        f"{error.filename} cannot be opened ({error.strerror})",
        rule="every folder below the input must be readable",
        remedy="check its permissions",
    ) from error


def walk(
    root: Path, *, unreadable: Callable[[OSError], None] = refuse_unreadable
) -> Iterator[Folder]:
    """Yield ``root`` and the folders below it, each before those inside it.

    Links to folders are named and not followed, so that no loop can arise. ``unreadable`` is called
    for each folder that cannot be opened.
    """
    for here, folders, names in os.walk(root, onerror=unreadable):
        hidden = sorted(name for name in folders + names if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Folder(
            Path(here), folders, sorted(name for name in names if not name.startswith(".")), hidden
        )


def visible_in(folder: Path) -> list[Path]:
    """All in a folder that is not hidden, by name.

    Raises
    ------
    InputRefused
        If the folder cannot be opened.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        refuse_unreadable(error)


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
