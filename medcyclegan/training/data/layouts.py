"""What a folder's layout tells of its images: case, subject, channel, and which are masks.

Known are SynthRAD's (``case/{mr,cbct,ct,mask}.nii.gz``), nnU-Net's (``imagesTr`` with ``_0000``,
``labelsTr``), BIDS (``sub-*/ses-*/anat``, ``ct``), and any other tree of folders.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from medcyclegan.core.text import MOST_TABLE_BYTES, parse_json, path_text, read_text
from medcyclegan.errors import InputRefused
from medcyclegan.io.case_names import Role, case_names, kind_of, stem, words
from medcyclegan.training.data.inputs import Wanted, subject_of_id, subject_of_path
from medcyclegan.training.data.tree import Candidate, Tree

Layout = Literal["SynthRAD", "nnU-Net", "BIDS", "folders"]

# What is left out without a word, as it belongs to the other side.
OTHER_SIDE = "of the other side"

_KIND: dict[str, Role] = {"MR": "mr", "CT": "ref"}
# One word for what BIDS and others write in two ways.
_PLAIN = {"t1w": "t1", "t2w": "t2", "pdw": "pd"}
_NUMBERED = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_SYNTHRAD = frozenset({"mr", "cbct", "ct", "mask"})
_NO_MAGNITUDE = frozenset({"part-phase", "part-real", "part-imag"})
_BIDS_ASIDE = frozenset({"derivatives", "sourcedata", "code", "stimuli", "phenotype"})
_NO_ANATOMY = frozenset(
    ("func", "dwi", "fmap", "perf", "pet", "eeg", "ieeg", "meg", "nirs", "mrs", "motion", "beh")
)
# Folders of SynthRAD above those of the patients.
_REGIONS = frozenset(
    (
        "task1", "task2", "brain", "pelvis", "hn", "th", "ab", "train", "training", "validation",
        "val", "test",
    )
)  # fmt: skip
# Of the masks of BIDS those that are said to mark a brain or a lesion are no masks of a body.
_BODY = frozenset({"body", "head", "patient", "external"})


@dataclass(frozen=True)
class Label:
    """What a layout tells of one image.

    ``channel`` is its place in the channels asked for, 0 where none are; ``why`` says what an image
    is that is left out, and is empty for those that are taken.
    """

    case: str
    subject: str
    is_mask: bool = False
    channel: int = 0
    why: str = ""


def layout_of(tree: Tree) -> Layout:
    """How a tree is laid out."""
    paths = [found.relative for found in tree.candidates]
    if tree.root.name in ("imagesTr", "imagesTs") or any(p.parts[0] == "imagesTr" for p in paths):
        return "nnU-Net"
    if any(len(p.parts) > 1 and {p.parts[0][:4], p.name[:4]} == {"sub-"} for p in paths):
        return "BIDS"
    kinds: dict[PurePath, set[str]] = defaultdict(set)
    for path in paths:
        if len(path.parts) > 1:
            kinds[path.parent].add(stem(path.name))
    if any(len(found & _SYNTHRAD) > 1 for found in kinds.values()):
        return "SynthRAD"
    return "folders"


def label(tree: Tree, layout: Layout, wanted: Wanted) -> list[Label]:
    """What the layout tells of each candidate of a tree, in their order.

    Raises
    ------
    InputRefused
        If nnU-Net's ``dataset.json`` cannot be read.
    """
    return _LABELLERS[layout](tree, wanted)


def channel_of(path: PurePath, channels: Sequence[str]) -> int | None:
    """The channel that a path names: by the file's name, or else by the nearest folder's.

    A name is of a channel if it has all of its words; of several the one of most words counts.
    """
    asked = [_plain_words(name) for name in channels]
    for name in (stem(path.name), *reversed(path.parent.parts)):
        said = _plain_words(name)
        fits = [number for number, some in enumerate(asked) if some <= said]
        if fits:
            return max(fits, key=lambda number: len(asked[number]))
    return None


def channel_words(channels: Sequence[str]) -> frozenset[str]:
    """All words of the channels' names, in lower case."""
    return frozenset(word for name in channels for word in words(name))


def _plain_words(name: str) -> frozenset[str]:
    return frozenset(_PLAIN.get(word, word) for word in words(name))


def _chosen(path: PurePath, kind: str | None, wanted: Wanted, *, by_kind: bool) -> tuple[int, str]:
    """The channel of an image, and why it is left out; ``by_kind``: its name must say its kind."""
    if wanted.channels:
        channel = channel_of(path, wanted.channels)
        if channel is not None:
            return channel, ""
        return 0, OTHER_SIDE if wanted.shared else f"images of no channel of {wanted.side.upper()}"
    if kind == "other":
        return 0, "images named as labels, reports or the like"
    if not by_kind or kind == _KIND.get(wanted.domain.modality):
        return 0, ""
    if kind is None:
        return 0, f"images that are not named as {wanted.domain.modality}"
    return 0, OTHER_SIDE


def _folders(tree: Tree, wanted: Wanted) -> list[Label]:
    kinds = channel_words(wanted.channels)
    anatomical = wanted.domain.modality in _KIND
    said = [
        kind_of(found.relative) if anatomical and found.is_volume else None
        for found in tree.candidates
    ]
    cases = _cases_of(tree.candidates, [kind == "mask" for kind in said], kinds)
    labels = []
    for found, kind, case in zip(tree.candidates, said, cases, strict=True):
        subject = (
            subject_of_id(found.patient_id)
            if found.patient_id
            else subject_of_path(found.relative, kinds=kinds)
        )
        if kind == "mask" and (not wanted.channels or channel_of(found.relative, ["mask"]) == 0):
            labels.append(Label(case, subject, is_mask=True))
            continue
        by_kind = wanted.shared and not found.image.dicom
        channel, why = _chosen(found.relative, kind, wanted, by_kind=by_kind)
        labels.append(Label(case, subject, channel=channel, why=why))
    return labels


def _cases_of(
    candidates: Sequence[Candidate], is_mask: Sequence[bool], kinds: frozenset[str]
) -> list[str]:
    """Cases of images and of masks, each told for itself, as their folders may repeat names."""
    cases = [""] * len(candidates)
    for masks in (False, True):
        at = [number for number, mask in enumerate(is_mask) if mask == masks]
        paths = [PurePath(candidates[number].name) for number in at]
        names = case_names(paths, kinds=kinds)
        for number, name in zip(at, names, strict=True):
            cases[number] = name
    return cases


def _synthrad(tree: Tree, wanted: Wanted) -> list[Label]:
    folders = {found.relative.parent for found in tree.candidates}
    repeated = Counter(folder.name for folder in folders)
    labels = []
    for found in tree.candidates:
        folder, name = found.relative.parent, stem(found.relative.name)
        case = path_text(folder.name if repeated[folder.name] == 1 else folder.as_posix())
        subject = subject_of_path(found.relative, kinds=_REGIONS)
        if name == "mask":
            labels.append(Label(case, subject, is_mask=True))
        elif not wanted.channels and name not in _SYNTHRAD:
            labels.append(Label(case, subject, why="files beside mr, cbct, ct and mask"))
        else:
            own = PurePath(found.relative.name)
            channel, why = _chosen(own, kind_of(own), wanted, by_kind=True)
            labels.append(Label(case, subject, channel=channel, why=why))
    return labels


def _bids(tree: Tree, wanted: Wanted) -> list[Label]:
    labels = []
    for found in tree.candidates:
        path = found.relative
        parts = stem(path.name).split("_")
        entities, suffix = parts[:-1], parts[-1].lower()
        visit = [part for part in entities if part.startswith(("sub-", "ses-"))]
        case, subject = path_text("_".join(visit)), subject_of_path(path)
        aside = path.parts[0] in _BIDS_ASIDE
        if suffix == "mask":
            marks = next((part[5:] for part in entities if part.startswith("desc-")), "body")
            why = "" if marks.lower() in _BODY else "masks of no body"
            labels.append(Label(case, subject, is_mask=not why, why=why))
        elif aside or not visit:
            labels.append(Label(case, subject, why="files beside the raw data of BIDS"))
        elif _NO_MAGNITUDE.intersection(entities):
            labels.append(Label(case, subject, why="phase, real and imaginary images"))
        elif path.parent.name in _NO_ANATOMY:
            labels.append(Label(case, subject, why="images of neither anatomy nor CT"))
        else:
            kind = _bids_kind(path, suffix)
            by_kind = wanted.shared or kind is not None
            channel, why = _chosen(PurePath(path.name), kind, wanted, by_kind=by_kind)
            labels.append(Label(case, subject, channel=channel, why=why))
    return labels


def _bids_kind(path: PurePath, suffix: str) -> str | None:
    """``ref`` for a CT, ``mr`` for anatomy by MR, None for an image that does not tell."""
    if suffix == "ct" or path.parent.name == "ct":
        return "ref"
    return "mr" if path.parent.name == "anat" else kind_of(PurePath(path.name))


def _nnunet(tree: Tree, wanted: Wanted) -> list[Label]:
    """``imagesTr`` to train on, ``labelsTr`` of one class as masks; ``imagesTs`` is for a test."""
    inside = tree.root.name in ("imagesTr", "imagesTs")
    names, binary = _read_dataset(tree.root.parent if inside else tree.root)
    labels = []
    for found in tree.candidates:
        folder = tree.root.name if inside else found.relative.parts[0]
        matched = _NUMBERED.fullmatch(stem(found.relative.name))
        case = path_text(matched["case"] if matched else stem(found.relative.name))
        if folder == "labelsTr":
            why = "" if binary else "labels of several classes, or of none that is known"
            labels.append(Label(case, case, is_mask=not why, why=why))
        elif folder not in ("imagesTr", "imagesTs") or matched is None:
            labels.append(Label(case, case, why="files beside imagesTr and labelsTr"))
        elif folder == "imagesTs" and not inside:
            labels.append(Label(case, case, why="images of imagesTs, which are for a test,"))
        else:
            number = matched["channel"]
            own = PurePath(names.get(int(number), "") + "_" + number)
            by_kind = wanted.shared or len(names) > 1
            channel, why = _chosen(own, kind_of(own), wanted, by_kind=by_kind)
            labels.append(Label(case, case, channel=channel, why=why))
    return labels


def _read_dataset(folder: Path) -> tuple[dict[int, str], bool]:
    """The channels' names by number, and whether there is one class of labels, not several."""
    path = folder / "dataset.json"
    if not path.is_file():
        return {}, False
    try:
        told = parse_json(read_text(path, most_bytes=MOST_TABLE_BYTES))
        if not isinstance(told, dict):
            raise TypeError("it holds no keys")
        channels = told.get("channel_names") or told.get("modality") or {}
        names = {int(number): str(name) for number, name in channels.items()}
        # background and one class, named by number in version 1 and the other way round in 2
        return names, len(told.get("labels", {})) == 2
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputRefused(
            f"{path} cannot be read ({type(error).__name__})",
            rule="it is that of nnU-Net: JSON with channel_names and labels",
            remedy="mend it",
        ) from error


_LABELLERS: dict[Layout, Callable[[Tree, Wanted], list[Label]]] = {
    "SynthRAD": _synthrad,
    "nnU-Net": _nnunet,
    "BIDS": _bids,
    "folders": _folders,
}
