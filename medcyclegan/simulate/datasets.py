"""Folders of simulated data for training and tests, dealt out by subject."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.text import counted
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.discover import NIFTI_WRITTEN, visible_in
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.raster.image import write_raster
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader, RasterSourceHeader
from medcyclegan.io.targets import COMPLETION_RECORD
from medcyclegan.simulate.head_pairs import Pair
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head


@dataclass(frozen=True)
class Split:
    """Numbers of the subjects, from 1: no one is in two groups, but for paired training."""

    train_a: tuple[int, ...]
    train_b: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def sides(self) -> dict[int, str]:
        """For every subject which of its images are written: ``"a"``, ``"b"`` or both."""
        both = set(self.test) | (set(self.train_a) & set(self.train_b))
        everyone = sorted({*self.train_a, *self.train_b, *self.test})
        return {n: "ab" if n in both else "a" if n in self.train_a else "b" for n in everyone}


def split_subjects(count: int, *, test: int | None = None, paired: bool = False) -> Split:
    """Divide subjects 1 to ``count``: those for tests, a quarter if not given, come last.

    The others are divided between A and B, or with ``paired`` belong to both.

    Raises
    ------
    UsageError
        If a group would be empty.
    """
    tests = max(1, count // 4) if test is None else test
    trained = range(1, count - tests + 1)
    if tests < 1 or len(trained) < (1 if paired else 2):
        raise UsageError(
            f"{counted(count, 'subject')}, {tests} of them for tests",
            rule="training on each side and tests need at least one subject each",
            remedy="ask for more subjects",
        )
    held_back = tuple(range(len(trained) + 1, count + 1))
    if paired:
        return Split(tuple(trained), tuple(trained), held_back)
    half = (len(trained) + 1) // 2
    return Split(tuple(trained[:half]), tuple(trained[half:]), held_back)


def deal_heads(split: Split, heads: int) -> tuple[int, ...]:
    """Return for subject n, at n - 1, which of ``heads`` heads it is; groups share no head.

    Raises
    ------
    UsageError
        If there are too few heads.
    """
    paired = split.train_a == split.train_b
    shares = split_subjects(heads, paired=paired)
    dealt: dict[int, int] = {}
    for subjects, numbers in (
        (split.train_a, shares.train_a),
        (split.train_b, shares.train_b),
        (split.test, shares.test),
    ):
        for place, subject in enumerate(subjects):
            dealt[subject] = numbers[place % len(numbers)] - 1
    return tuple(dealt[subject] for subject in sorted(dealt))


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
    paths = label_maps_in(folder)
    if not paths:
        raise InputRefused(
            f"{folder} holds no label maps", rule="they are .nii or .nii.gz files", remedy=_REMEDY
        )
    dealt = deal_heads(split, len(paths))
    needed = sorted(set(dealt))
    prepared: dict[int, HeadAnatomy] = {}
    for done, number in enumerate(needed, start=1):
        prepared[number] = read_head(paths[number])
        if progress is not None:
            progress(done, len(needed))
    return DealtHeads(
        tuple(prepared[number] for number in dealt), tuple(paths[number].name for number in dealt)
    )


def label_maps_in(folder: Path) -> list[Path]:
    """The label maps of a folder by name, those that are hidden left out; none if it is missing."""
    inside = visible_in(folder) if folder.is_dir() else []
    return [path for path in inside if path.name.lower().endswith(NIFTI_WRITTEN)]


def read_head(path: Path) -> HeadAnatomy:
    """Read a label map, and prepare its head for sampling.

    Raises
    ------
    InputRefused
        If it cannot be read, or is no label map of a head.
    """
    labels = read_scan(path).volume
    try:
        return prepare_head(Volume(labels.voxels, labels.geometry, "label"))
    except InputRefused as error:
        raise InputRefused(f"{path}: {error}", remedy=_REMEDY) from error


_REMEDY = "give a folder of whole-head label maps with the labels of FreeSurfer and SynthSeg"


RECORD = "simulation.json"
FOLDERS = ("trainA", "trainB", "testA", "testB")


class Recipe(Protocol):
    """What makes two images of a subject; seed and subject fix them to the last bit."""

    def pair(self, seed: int, subject: int) -> Pair:
        """Return both images of a subject."""
        ...


@dataclass(frozen=True)
class Pictures:
    """A PNG file for each slice; numpy's names of the types of the two sides' grey values."""

    a_dtype: str
    b_dtype: str


@dataclass(frozen=True)
class Order:
    """What is to be simulated: ``task`` and ``settings`` go into the record as they are.

    ``pictures`` says that slices are written as PNG; if None, volumes as NIfTI.
    """

    task: str
    split: Split
    seed: int
    version: str
    settings: Mapping[str, object]
    pictures: Pictures | None = None


def write_folder(
    recipe: Recipe,
    order: Order,
    *,
    to: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write ``to/trainA``, ``trainB``, ``testA``, ``testB`` and the record, whole or not at all.

    Returns the four folders and the record. Images are ``subject-001.nii.gz``, or with pictures
    ``subject-001_001.png``, and so on; in testA and testB the same name is the same subject.

    Raises
    ------
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, or holds what medcyclegan did not write.
    """
    everyone = order.split.sides
    pictures = order.pictures
    dtypes = {
        "a": pictures.a_dtype if pictures else None,
        "b": pictures.b_dtype if pictures else None,
    }
    with atomic_folder(to, overwrite=overwrite) as folder:
        for name in FOLDERS:
            (folder / name).mkdir()
        files: list[Path] = []
        for done, (subject, sides) in enumerate(everyone.items(), start=1):
            pair = recipe.pair(order.seed, subject)
            train = subject not in order.split.test
            for side, volume in (("a", pair.a), ("b", pair.b)):
                if side in sides:
                    where = folder / f"{'train' if train else 'test'}{side.upper()}"
                    files += _write_images(volume, where / f"subject-{subject:03d}", dtypes[side])
            if progress is not None:
                progress(done, len(everyone))
        _write_records(folder, order, files)
    return [*(to / name for name in FOLDERS), to / RECORD]


def _write_images(volume: Volume, stem: Path, dtype: str | None) -> list[Path]:
    """Write a volume, or with a type for grey values its slices, under a name without ending."""
    if dtype is None:
        path = stem.with_name(f"{stem.name}.nii.gz")
        write_nifti(volume, source_header=ItkSourceHeader(), to=path)
        return [path]
    paths = []
    i, j, count = volume.geometry.shape
    plane = Geometry((i, j, 1), volume.geometry.affine_ras)
    for k in range(count):
        path = stem.with_name(f"{stem.name}_{k + 1:03d}.png")
        picture = Volume(volume.voxels[:, :, k : k + 1], plane, "a.u.")
        write_raster(picture, source_header=RasterSourceHeader(dtype, "PNG"), to=path)
        paths.append(path)
    return paths


def _write_records(folder: Path, order: Order, files: list[Path]) -> None:
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    record = {
        "task": order.task,
        "seed": order.seed,
        "medcyclegan": order.version,
        "settings": dict(order.settings),
        "trainA": order.split.train_a,
        "trainB": order.split.train_b,
        "test": order.split.test,
        "files": len(names),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    written = {"written_by": "medcyclegan", "files": [*names, RECORD]}
    (folder / COMPLETION_RECORD).write_text(json.dumps(written) + "\n", encoding="utf-8")
