"""Find all that may be translated below a folder, by names and headers alone."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.core.task import HEAD, BodyPart
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.api import DicomFile, is_image, is_radiograph, load_header, load_image
from medcyclegan.io.discover import leads_nowhere, leads_out, refuse_no_tree, walk
from medcyclegan.io.targets import COMPLETION_RECORD
from medcyclegan.workflow.batch.candidate import Candidate, Takes
from medcyclegan.workflow.batch.item import STATE_FOLDER
from medcyclegan.workflow.batch.series import SeriesCollector
from medcyclegan.workflow.batch.single_images import (
    RadiographCollector,
    candidate_of_file,
    candidate_of_picture,
    is_image_name,
    is_picture_name,
    linked_candidates,
    ordinary_files,
)


@dataclass(frozen=True)
class Catalogue:
    """What a tree holds: candidates by path, and how many other files of which kind."""

    candidates: tuple[Candidate, ...]
    passed_over: dict[str, int]


def find_candidates(
    root: Path, *, modality: str, skip: Path, takes: Takes = "scans", part: BodyPart = HEAD
) -> Catalogue:
    """Look through a tree for images.

    Parameters
    ----------
    root:
        A folder. Links to folders are not followed, links to files only within the tree: what
        may be an image behind one that leads nowhere or out is refused by name. Hidden files and
        folders are passed over.
    modality:
        The DICOM term of what is translated; images known to be of another one are set aside.
    skip:
        A folder that is not looked into: that of the outputs.
    takes:
        What is looked at. But for ``"scans"``, pictures are among it, every DICOM radiograph is
        taken by itself, and other DICOM is passed over.
    part:
        What scans are to show; series with too few slices for it are set aside.

    Raises
    ------
    InputRefused
        If ``root`` is no folder that can be read.
    """
    refuse_no_tree(root)
    walk = _Walk(root, skip, Counter(), without_outputs=takes != "scans")
    is_hospital = takes == "scans"
    dicom = SeriesCollector(root, modality, part) if is_hospital else RadiographCollector(root)
    candidates: list[Candidate] = []
    for folder, names in walk:
        images = ordinary_files(names)
        if takes == "planes" and images:
            walk.passed_over["volume in a file"] += len(images)
            images = []
        candidates += [candidate_of_file(root, folder, name, names, modality) for name in images]
        for name in names:
            if not is_hospital and is_picture_name(name):
                candidates.append(candidate_of_picture(folder, name, modality))
            elif not is_image_name(name):
                _add_dicom(root, folder / name, dicom, walk.passed_over)
    if isinstance(dicom, SeriesCollector):
        candidates += linked_candidates(root, walk.links, dicom, modality, walk.passed_over)
    else:
        dicom.add_links(walk.links)
        walk.passed_over.update(dicom.passed_over)
    candidates += walk.refused + dicom.candidates()
    ordered = sorted(candidates, key=lambda found: (found.source.parts, found.series_uid))
    return Catalogue(tuple(ordered), dict(sorted((+walk.passed_over).items())))


def is_one_scan(folder: Path, *, modality: str) -> bool:
    """Whether a folder stands for one DICOM scan to translate, and not for images each of its own.

    It does where a DICOM image below it is a slice of a volume, or where a single radiograph, or
    nothing, is all there is. For radiographs (``modality`` ``"XR"``) volumes in DICOM do not count.
    """
    radiographs = files = 0
    for here, names in _Walk(folder, folder, Counter()):
        files += len(ordinary_files(names)) + sum(map(is_picture_name, names))
        for name in names:
            file = _dicom_image(folder / here / name) if not is_image_name(name) else None
            if file is not None and not is_radiograph(file) and modality != "XR":
                return True
            radiographs += file is not None and is_radiograph(file)
    return not files and radiographs <= 1


def _dicom_image(path: Path) -> DicomFile | None:
    """The header of a DICOM image; None for all else, and for what cannot be read."""
    try:
        return load_image(path)
    except (InputRefused, OSError):
        return None


@dataclass
class _Walk:
    """The folders below ``root`` with the names of their files, all sorted.

    ``without_outputs``: a folder below that holds the records of a batch is not looked into; what
    is in it may have the names of the inputs, and would be taken twice.
    """

    root: Path
    skip: Path
    passed_over: Counter[str]
    without_outputs: bool = False

    def __post_init__(self) -> None:
        self.refused: list[Candidate] = []
        self.links: list[Path] = []

    def __iter__(self) -> Iterator[tuple[Path, list[str]]]:
        real_root, skip = Path(os.path.realpath(self.root)), Path(os.path.realpath(self.skip))
        for here in walk(real_root, unreadable=self._refuse):
            folder, folders = here.path, here.folders
            if self.without_outputs and STATE_FOLDER in here.hidden and folder != real_root:
                self.passed_over["folder of outputs of another run"] += 1
                folders.clear()
                continue
            self.passed_over["hidden"] += len(here.hidden) - (COMPLETION_RECORD in here.hidden)
            folders[:] = [name for name in folders if folder / name != skip]
            inner = folder.relative_to(real_root)
            self._keep_links(inner, [f for f in folders if (folder / f).is_symlink()])
            regular = [name for name in here.files if self._is_file_inside(inner / name)]
            self.passed_over = +self.passed_over
            yield inner, regular

    def _keep_links(self, folder: Path, names: list[str]) -> None:
        """Keep links to folders that lead out; what others lead to is walked in its own place."""
        for name in names:
            if leads_out(self.root / folder / name, self.root):
                self.links.append(folder / name)
            else:
                self.passed_over["links to folders"] += 1

    def _is_file_inside(self, path: Path) -> bool:
        """Whether it is a regular file, or a link to one in the tree that is not its twin."""
        full = self.root / path
        if leads_nowhere(full) or leads_out(full, self.root):
            self.links.append(path)
            return False
        try:
            is_file = stat.S_ISREG(full.stat().st_mode)
        except OSError:
            is_file = False
        target = Path(os.path.realpath(full))
        is_twin = full.is_symlink() and target.parent == Path(os.path.realpath(full.parent))
        if is_twin and not target.name.startswith("."):
            self.passed_over["links to files beside them"] += 1
        elif not is_file:
            self.passed_over["no files"] += 1
        else:
            return True
        return False

    def _refuse(self, error: OSError) -> None:
        folder = Path(error.filename).relative_to(os.path.realpath(self.root))
        why = f"the folder cannot be opened ({error.strerror}); check its permissions"
        self.refused.append(Candidate(folder, (), "", (str(folder),), refused=why))


def _add_dicom(
    root: Path,
    path: Path,
    series: SeriesCollector | RadiographCollector,
    passed_over: Counter[str],
) -> None:
    """Add a file to its series if it is DICOM; else count it."""
    full = root / path
    try:
        file = load_header(full)
        if file is None:
            passed_over[f"no image ({full.suffix.lower() or 'no ending'})"] += 1
        elif is_image(file):
            series.add(path, file)
        else:
            passed_over["DICOM without an image"] += 1
    except (InputRefused, OSError) as error:
        series.add_damaged(path, error)
