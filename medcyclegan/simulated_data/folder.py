"""A folder of simulated data as training takes it: both sides for training, and pairs for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medcyclegan.geometry import Geometry
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.nifti.write import write_nifti
from medcyclegan.io.plane.write import write_plane
from medcyclegan.io.scan import ItkPassport, PlanePassport
from medcyclegan.io.targets import COMPLETION_RECORD
from medcyclegan.simulate.head_pairs import Pair
from medcyclegan.simulated_data.split import Split
from medcyclegan.volume import Volume

RECORD = "simulation.json"
FOLDERS = ("trainA", "trainB", "testA", "testB")

Progress = Callable[[int, int], None]


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
        write_nifti(volume, passport=ItkPassport(), to=path)
        return [path]
    paths = []
    i, j, count = volume.geometry.shape
    plane = Geometry((i, j, 1), volume.geometry.affine_ras)
    for k in range(count):
        path = stem.with_name(f"{stem.name}_{k + 1:03d}.png")
        picture = Volume(volume.voxels[:, :, k : k + 1], plane, "a.u.")
        write_plane(picture, passport=PlanePassport(dtype, "PNG"), to=path)
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
