"""What may be translated: a file, or a DICOM series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcyclegan.batch.words import Contrast

# What of a tree is looked at: scans of patients; every image, pictures and radiographs one by one
# and volumes in files; or pictures and radiographs alone.
Takes = Literal["scans", "images", "planes"]


@dataclass(frozen=True)
class Candidate:
    """An image that was found, by names and headers alone.

    Parameters
    ----------
    source:
        The file, or the folder that holds the series; relative to the tree.
    files:
        All files that it consists of, relative to the tree, in the order of their names.
    label:
        The file's name or the series' description. It is shown on a terminal when asked for, and
        written nowhere.
    group:
        Candidates with an equal group show one head at one visit.
    contrast, order:
        The kind of image, and the place among those of one kind: the least is preferred.
    series_uid, series_name:
        Of a series: its UID, and how its output is called where the folder holds several.
    aside:
        Why it is none to translate; empty if it is one.
    aside_unless_named:
        Whether a rule that names it by its label takes it all the same.
    refused:
        Why it cannot be read, where that is known already.
    """

    source: Path
    files: tuple[Path, ...]
    label: str
    group: tuple[str, ...]
    contrast: Contrast = "other"
    order: tuple[float, ...] = ()
    series_uid: str = ""
    series_name: str = ""
    aside: str = ""
    aside_unless_named: bool = False
    refused: str = ""
