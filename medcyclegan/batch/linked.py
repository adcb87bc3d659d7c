"""Links that are not followed, as they lead nowhere or out of the tree: what may be lost by them.

A data set that was copied without its store (git-annex, a share that is not mounted) is made of
links to nowhere. Whatever may be an image behind a link has a row of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.files import candidate_of_file, is_image_name, ordinary_files
from medcyclegan.batch.series import SeriesCollector
from medcyclegan.io.dicom.linked import series_behind
from medcyclegan.io.links import leads_nowhere, named

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
        why = f"{len(lost)} links in it lead nowhere ({named(lost)}); {_REMEDY}"
        found.append(Candidate(folder, (), "", (str(folder), "links"), refused=why))
    return found
