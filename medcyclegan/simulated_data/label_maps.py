"""Heads from a folder of label maps, dealt to subjects so that tests see heads of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.read import read_scan
from medcyclegan.simulate.labelmaps import HeadAnatomy, prepare_head
from medcyclegan.simulated_data.split import Split, deal_heads
from medcyclegan.volume import Volume

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class DealtHeads:
    """Subject n, counted from 1, is ``heads[n - 1]``, which was read from ``names[n - 1]``."""

    heads: tuple[HeadAnatomy, ...]
    names: tuple[str, ...]


def read_heads(folder: Path, split: Split, *, progress: Progress | None = None) -> DealtHeads:
    """Read the label maps (``.nii.gz``, ``.nii``) that a split needs, each once.

    Raises
    ------
    InputRefused
        If there are none, or one is no label map of a head.
    UsageError
        If there are too few for groups that share no head.
    """
    paths = sorted(path for path in folder.glob("*") if path.name.endswith((".nii", ".nii.gz")))
    if not paths:
        raise InputRefused(
            f"{folder} holds no label maps", rule="they are .nii or .nii.gz files", remedy=_REMEDY
        )
    dealt = deal_heads(split, len(paths))
    needed = sorted(set(dealt))
    prepared: dict[int, HeadAnatomy] = {}
    for done, number in enumerate(needed, start=1):
        prepared[number] = _prepare(paths[number])
        if progress is not None:
            progress(done, len(needed))
    return DealtHeads(
        tuple(prepared[number] for number in dealt), tuple(paths[number].name for number in dealt)
    )


def _prepare(path: Path) -> HeadAnatomy:
    labels = read_scan(path).volume
    try:
        return prepare_head(Volume(labels.voxels, labels.geometry, "label"))
    except InputRefused as error:
        raise InputRefused(f"{path}: {error}", remedy=_REMEDY) from error


_REMEDY = "give a folder of whole-head label maps with the labels of FreeSurfer and SynthSeg"
