"""What a file or folder name says: which case (patient), and which kind of image.

A name is cut into words at ``_``, ``-``, ``.`` and blanks. Words such as ``ct``, ``sct``, ``mask``
or ``t1`` at its ends tell the kind of image; what is left in between names the patient. So
``p01_sct.nii.gz``, ``ct_p01.mha`` and ``p01/ct.nii.gz`` are all of the patient ``p01``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Literal

from medcyclegan.core.text import path_text
from medcyclegan.io.discover import VOLUME_ENDINGS, without_ending

Role = Literal["pred", "ref", "mask", "mr"]

WORDS: dict[Role, frozenset[str]] = {
    "pred": frozenset(
        ("sct", "synct", "synthct", "syntheticct", "synthetic", "pred", "prediction", "predicted",
         "fake", "generated")
    ),
    "ref": frozenset(("ct", "planct", "gt", "ref", "reference", "truth", "true")),
    "mask": frozenset(("mask", "bodymask")),
    "mr": frozenset(("mr", "mri", "t1", "t1w", "t2", "t2w", "flair", "pd", "cbct")),
}  # fmt: skip
# Images beside the others that are none of these.
OTHER_WORDS = frozenset(
    ("label", "labels", "seg", "segmentation", "overlay", "report", "picture", "uncertainty")
)
# These say how an image is stored or what it covers, not of which kind it is.
NEUTRAL_WORDS = frozenset(
    ("dicom", "dcm", "nifti", "nii", "series", "img", "image", "body", "desc")
)  # fmt: skip

_SEPARATORS = re.compile(r"[_\-. ]+")
_ROLE_WORDS = frozenset().union(*WORDS.values(), OTHER_WORDS, NEUTRAL_WORDS)


def composed(name: str) -> str:
    """Return a name with its letters composed (Unicode NFC): macOS parts accents from letters."""
    return unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    """Return a file's name, composed, without the ending of an image format."""
    return without_ending(composed(name), VOLUME_ENDINGS)


def words(name: str) -> list[str]:
    """Cut a stem into its words, in lower case."""
    return [word.lower() for word in _SEPARATORS.split(name) if word]


def patient(name: str, *, kinds: Collection[str] = ()) -> str:
    """Return the part of a stem that names the patient, or nothing if it names none.

    ``kinds`` are further words, in lower case, that tell a kind of image.
    """
    name = composed(name)
    spans = [match.span() for match in re.finditer(r"[^_\-. ]+", name)]
    tells_kind = _ROLE_WORDS.union(kinds)
    while spans and name[slice(*spans[-1])].lower() in tells_kind:
        spans.pop()
    while spans and name[slice(*spans[0])].lower() in tells_kind:
        spans.pop(0)
    return name[spans[0][0] : spans[-1][1]] if spans else ""


def case_names(paths: Sequence[PurePath], *, kinds: Collection[str] = ()) -> list[str]:
    """Return the case that each of the images below one folder is of, in their order.

    It is named by the image's own name, or else by the nearest folder that names a patient; where
    several folders repeat a name, the folder is part of it. So ``p01/mr.nii.gz`` and
    ``p01_sct.nii.gz`` are of ``p01``, and of ``a/p01.nii`` and ``b/p01.nii`` the cases are
    ``a/p01`` and ``b/p01``. Letters with accents are the same composed (NFC) and decomposed (NFD).

    ``paths`` are relative to the folder; ``kinds`` are further words that tell a kind of image.
    """
    places = [_case_folder(path, kinds) for path in paths]
    cases = [_own_case(path, kinds) for path in paths]
    folders: dict[str, set[str]] = defaultdict(set)
    for case, place in zip(cases, places, strict=True):
        folders[case].add(place)
    named = [
        _with_folder(case, place, kinds) if len(folders[case]) > 1 else case
        for case, place in zip(cases, places, strict=True)
    ]
    return [path_text(composed(case)) for case in named]


def kind_of(path: PurePath) -> Role | Literal["other"] | None:
    """Return which kind of image a path says, by the file's name or else the nearest folder's."""
    for name in (stem(path.name), *reversed(path.parent.parts)):
        if fitness(name, "mask") < 0:
            return "other"
        found = next((role for role in WORDS if fitness(name, role) == _SAYS_SO), None)
        if found is not None:
            return found
    return None


def _own_case(path: PurePath, kinds: Collection[str]) -> str:
    own = stem(path.name)
    names = (own, *reversed(path.parent.parts))
    return next((found for name in names if (found := patient(name, kinds=kinds))), own)


def _case_folder(path: PurePath, kinds: Collection[str]) -> str:
    """The folder of the patient's images, without folders that name but their kind."""
    return PurePath(*(part for part in path.parent.parts if patient(part, kinds=kinds))).as_posix()


def _with_folder(case: str, folder: str, kinds: Collection[str]) -> str:
    if folder == ".":
        return case
    is_named = patient(folder.rsplit("/", maxsplit=1)[-1], kinds=kinds) == case
    return folder if is_named else f"{folder}/{case}"


# What ``fitness`` gives for a name that says the kind of image.
_SAYS_SO = 2


def fitness(name: str, role: Role) -> int:
    """How well a stem fits a kind of image.

    2 says so, 1 says nothing of it, 0 says another kind, -1 is no image of the kinds at all.
    """
    if set(words(name)) & OTHER_WORDS:
        return -1
    first = _first_kind(name)
    if first is None or (role == "pred" and first == "ref"):
        return 1
    return 2 if first == role else 0


def says_other(name: str, role: Role) -> bool:
    """Whether a stem says that the image is of another kind, or of none of the kinds."""
    return fitness(name, role) < 1 or (role == "pred" and _first_kind(name) == "ref")


def _first_kind(name: str) -> Role | None:
    """The kind that a stem says; one may be named after another: "sct_mask", "synthetic_ct"."""
    said = set(words(name))
    return next((kind for kind in _STRONGEST if said & WORDS[kind]), None)


_STRONGEST: tuple[Role, ...] = ("mask", "pred", "ref", "mr")
