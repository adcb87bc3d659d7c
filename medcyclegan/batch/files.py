"""Images in files of their own (NIfTI, MetaImage, NRRD), told by name; BIDS names read as such."""

from __future__ import annotations

import re
from pathlib import Path

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.words import (
    Contrast,
    contrast_of,
    is_contrast_enhanced,
    subject_words,
    why_no_input,
    words,
)
from medcyclegan.errors import InputRefused
from medcyclegan.io.itk.header import read_itk_header

_DATA_ENDINGS = (".img", ".img.gz", ".raw", ".zraw", ".raw.gz")
_HEADER_ENDINGS = (".hdr", ".hdr.gz", ".mhd", ".nhdr")
_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", *_HEADER_ENDINGS)
_BIDS = re.compile(
    r"(?P<entities>sub-[a-zA-Z0-9]+(_[a-z]+-[a-zA-Z0-9]+)*)_(?P<suffix>[a-zA-Z0-9]+)"
)
# Phase and parts of complex signal: of BIDS, and as a word of its own.
_PART = re.compile(
    r"[_\-. ](part-(?:phase|real|imag)|phase(?:diff|\d)?|imaginary)(?=[_\-. ]|$)", re.IGNORECASE
)
# Of the suffixes of BIDS, those that show anatomy in one volume of usual contrast.
_BIDS_CONTRASTS: dict[str, Contrast] = {"T1w": "T1w", "T2w": "T2w", "FLAIR": "FLAIR", "PDw": "PDw"}


def is_image_name(name: str) -> bool:
    """Whether a file is an image or a part of one by its name's ending."""
    return name.lower().endswith((*_ENDINGS, *_DATA_ENDINGS))


def ordinary_files(names: list[str]) -> list[str]:
    """Those names of a folder that stand for an image: a header and its data count once."""
    stems = {_stem(name) for name in names if name.lower().endswith(_HEADER_ENDINGS)}
    alone = [n for n in names if n.lower().endswith(_DATA_ENDINGS[:2]) and _stem(n) not in stems]
    return [name for name in names if name.lower().endswith(_ENDINGS)] + alone


def candidate_of_file(
    root: Path, folder: Path, name: str, names: list[str], modality: str
) -> Candidate:
    """Describe the image ``root / folder / name``; ``names`` are all files beside it."""
    path = folder / name
    files = (path, *_data_files(root, path, names))
    stem = _stem(name)
    bids = _BIDS.fullmatch(stem)
    aside = _why_aside(folder, stem, bids, modality)
    group: tuple[str, ...]
    if bids is None:
        contrast = contrast_of(stem)
        # Without a known contrast every file is a head of its own.
        group = (str(folder), subject_words(stem) if contrast != "other" else f"file {name}")
    else:
        contrast = _BIDS_CONTRASTS.get(bids["suffix"], "other")
        group = (_bids_root(folder), *_bids_visit(bids["entities"]))
    order = (float(is_contrast_enhanced(stem.replace("-", "_"))),)
    return Candidate(path, files, stem, group, contrast, order, aside=aside)


def _why_aside(folder: Path, stem: str, bids: re.Match[str] | None, modality: str) -> str:
    if "derivatives" in folder.parts:
        return "in a folder of derivatives"
    if bids is not None and modality == "MR" and bids["suffix"] not in _BIDS_CONTRASTS:
        return f"{bids['suffix']} is none of {', '.join(_BIDS_CONTRASTS)}"
    if modality == "MR" and (part := _PART.search(f"_{stem}")):
        return f"its name says that it is no magnitude ({part[1]})"
    by_folder = why_no_input(folder.name, modality=modality) if len(words(folder.name)) == 1 else ""
    return why_no_input(stem, modality=modality) or by_folder.replace("its name", "its folder")


def _bids_visit(entities: str) -> tuple[str, str]:
    """Subject and session, the latter empty where there is none."""
    found = dict(part.split("-", 1) for part in entities.split("_"))
    return found["sub"], found.get("ses", "")


def _bids_root(folder: Path) -> str:
    """The folder of the data set, so that sub-01 of two sets are two subjects."""
    parts = folder.parts
    return "/".join(parts[: next((n for n, p in enumerate(parts) if p.startswith("sub-")), None)])


def _data_files(root: Path, path: Path, names: list[str]) -> tuple[Path, ...]:
    """The files with the voxels of a header, relative to ``root``."""
    lower = path.name.lower()
    if lower.endswith((".hdr", ".hdr.gz", ".img", ".img.gz")):
        stem = _stem(path.name)
        beside = [n for n in names if _stem(n) == stem and n != path.name]
        return tuple(path.parent / n for n in beside if is_image_name(n))
    if not lower.endswith(_HEADER_ENDINGS):
        return ()
    try:
        data = read_itk_header(root / path).payload.path
    except (InputRefused, OSError):
        return ()  # reading the image will tell
    return (path.parent / data.name,) if data.is_file() else ()


def _stem(name: str) -> str:
    ending = next(e for e in (*_ENDINGS, *_DATA_ENDINGS, "") if name.lower().endswith(e))
    return name[: len(name) - len(ending)]
