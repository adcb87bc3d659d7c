"""Images in single files: NIfTI, MetaImage, NRRD, pictures, radiographs; lost links.

Links that are not followed, as they lead nowhere or out of the tree: what may be lost by them.
A data set that was copied without its store (git-annex, a share that is not mounted) is made of
links to nowhere. Whatever may be an image behind a link has a row of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.api import (
    DicomFile,
    is_made_from_an_image,
    is_radiograph,
    series_behind,
    series_uid,
    text,
)
from medcyclegan.io.discover import (
    DETACHED_ENDINGS,
    PAIR_ENDINGS,
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    VOXEL_ENDINGS,
    leads_nowhere,
    named,
    without_ending,
)
from medcyclegan.io.itk.image import read_itk_header
from medcyclegan.workflow.batch.candidate import (
    SYNTHETIC_BY_HEADER,
    Candidate,
    Contrast,
    contrast_of,
    is_contrast_enhanced,
    subject_words,
    why_no_input,
    why_synthetic,
    words,
)
from medcyclegan.workflow.batch.series import SeriesCollector
from medcyclegan.workflow.batch.visits import lacks_uids

# Of a pair that is read by either file.
_IMG_ENDINGS = (".img", ".img.gz")
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
    return name.lower().endswith((*VOLUME_ENDINGS, *VOXEL_ENDINGS))


def ordinary_files(names: list[str]) -> list[str]:
    """Those names of a folder that stand for an image: a header and its data count once."""
    stems = {stem_of(name) for name in names if name.lower().endswith(DETACHED_ENDINGS)}
    alone = [n for n in names if n.lower().endswith(_IMG_ENDINGS) and stem_of(n) not in stems]
    return [name for name in names if name.lower().endswith(VOLUME_ENDINGS)] + alone


def candidate_of_file(
    root: Path, folder: Path, name: str, names: list[str], modality: str
) -> Candidate:
    """Describe the image ``root / folder / name``; ``names`` are all files beside it."""
    path = folder / name
    files = (path, *_data_files(root, path, names))
    stem = stem_of(name)
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
    if path.name.lower().endswith(PAIR_ENDINGS):
        stem = stem_of(path.name)
        beside = [n for n in names if stem_of(n) == stem and n != path.name]
        return tuple(path.parent / n for n in beside if is_image_name(n))
    if not path.name.lower().endswith(DETACHED_ENDINGS):
        return ()
    try:
        data = read_itk_header(root / path).payload.path
    except (InputRefused, OSError):
        return ()  # reading the image will tell
    return (path.parent / data.name,) if data.is_file() else ()


def stem_of(name: str) -> str:
    """The name of an image without its ending."""
    return without_ending(name, (*VOLUME_ENDINGS, *VOXEL_ENDINGS))


# What such names end in is no image.
_NO_IMAGES = (
    ".txt", ".json", ".tsv", ".csv", ".md", ".rst", ".pdf", ".html", ".xml", ".yaml", ".yml",
    ".bval", ".bvec", ".log", ".py", ".sh", ".m", ".png", ".jpg", ".jpeg", ".zip", ".tar", ".docx",
    ".xlsx",
)  # fmt: skip
_NOWHERE = "a link that leads nowhere"
_OUT = "a link out of the folder of the inputs"
_REMEDY = "put the file in its place (cp -L), or take it out"


def why_not_followed(link: Path) -> str:
    """Why what is behind a link is not taken, and what to do."""
    return f"{_NOWHERE if leads_nowhere(link) else _OUT}; {_REMEDY}"


def linked_candidates(
    root: Path,
    links: list[Path],
    series: SeriesCollector,
    modality: str,
    passed_over: Counter[str],
) -> list[Candidate]:
    """Return the images that are links, each with why it is refused; tell ``series`` of slices.

    ``links`` are relative to ``root``. Those that cannot be images are counted in ``passed_over``.
    """
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for link in links:
        by_folder[link.parent].append(link)
    found: list[Candidate] = []
    for folder, inside in by_folder.items():
        names = [link.name for link in inside if is_image_name(link.name)]
        for name in ordinary_files(names):
            candidate = candidate_of_file(root, folder, name, names, modality)
            found.append(replace(candidate, refused=why_not_followed(root / folder / name)))
        others = [link for link in inside if not is_image_name(link.name)]
        found += _others(root, folder, others, series, passed_over)
    return found


def _others(
    root: Path, folder: Path, links: list[Path], series: SeriesCollector, passed_over: Counter[str]
) -> list[Candidate]:
    """Links whose names tell no format: slices, folders, or anything."""
    dead = [link for link in links if leads_nowhere(root / link)]
    found: list[Candidate] = []
    for link in links:
        if link in dead:
            continue
        if (root / link).is_dir():
            why = f"{_OUT}, to a folder; give that folder itself, or put it in place of the link"
            found.append(Candidate(link, (), "", (str(link),), refused=why))
        elif uids := series_behind(root / link):
            series.add_linked(link, uids)
        else:
            passed_over["links out of the folder that are no images"] += 1
    unclear = series.add_dead_links(folder, dead)
    texts = [link for link in unclear if link.name.lower().endswith(_NO_IMAGES)]
    passed_over["links that lead nowhere and are no images"] += len(texts)
    lost = [link for link in unclear if link not in texts]
    if lost:
        why = f"links in it that lead nowhere: {len(lost)} ({named(lost)}); {_REMEDY}"
        found.append(Candidate(folder, (), "", (str(folder), "links"), refused=why))
    return found


# Names of DICOM files, and of folders, have any ending or none.
_MAY_BE_DICOM = ("", ".dcm", ".ima")


def is_picture_name(name: str) -> bool:
    """Whether a file is a picture by its name's ending."""
    return name.lower().endswith(PICTURE_ENDINGS)


def candidate_of_picture(folder: Path, name: str, modality: str) -> Candidate:
    """Describe the picture ``folder / name``, by its name alone."""
    path = folder / name
    aside = why_no_input(path.stem, modality=modality)
    return Candidate(path, (path,), path.stem, (str(path),), aside=aside, is_plane=True)


class RadiographCollector:
    """Takes the headers of DICOM images file by file; each radiograph is a candidate of its own.

    Files that cannot be read are refused one by one, and images of other kinds counted in
    ``passed_over``.
    """

    def __init__(self, root: Path) -> None:
        self.passed_over: Counter[str] = Counter()
        self._root = root
        self._found: list[Candidate] = []

    def add(self, path: Path, file: DicomFile) -> None:
        """Add a file; ``path`` is relative to the tree. Raises InputRefused if it is damaged."""
        if file.pixel_offset is None:
            raise InputRefused("it is cut off before its pixel data")
        if not is_radiograph(file):
            modality = text(file.header, "Modality", path) or "no modality"
            self.passed_over[f"DICOM of {modality}, no radiographs"] += 1
            return
        label = text(file.header, "SeriesDescription", path)
        uid = series_uid(file) or str(path)
        aside = SYNTHETIC_BY_HEADER if is_made_from_an_image(file) else why_synthetic(label)
        self._found.append(
            Candidate(
                path,
                (path,),
                label,
                (str(path),),
                series_uid=uid,
                aside=aside,
                no_dicom=lacks_uids(file),
                is_plane=True,
            )
        )

    def add_damaged(self, path: Path, error: Exception) -> None:
        """Note a file that begins as DICOM and cannot be read."""
        reason = getattr(error, "found", None) or getattr(error, "strerror", "") or "unreadable"
        why = f"it cannot be read as DICOM ({str(reason).rsplit(': ', 1)[-1]})"
        self._found.append(Candidate(path, (path,), "", (str(path),), refused=why))

    def add_links(self, links: list[Path]) -> None:
        """Refuse links that are not followed, where an image may be behind them; count others."""
        for link in links:
            may_be = is_image_name(link.name) or is_picture_name(link.name)
            if may_be or link.suffix.lower() in _MAY_BE_DICOM:
                why = why_not_followed(self._root / link)
                self._found.append(Candidate(link, (), "", (str(link),), refused=why))
            else:
                self.passed_over["links that are no images"] += 1

    def candidates(self) -> list[Candidate]:
        """Return what was added."""
        return self._found
