"""A simulated folder: whole or not there, the same for the same seed, paired where it says so."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite
from medcyclegan.io.read import read_scan
from medcyclegan.simulate.datasets import (
    FOLDERS,
    RECORD,
    Order,
    Pictures,
    split_subjects,
    write_folder,
)
from medcyclegan.simulate.head_pairs import Pair
from tests.cli.conversion_inputs import tree_hash

GRID = geometry_from_spacing((5, 4, 2), (1.0, 1.0, 3.0), np.diag([-1.0, -1.0, 1.0]))
ORDER = Order("mr-ct", split_subjects(5), seed=3, version="0", settings={"dose": 0.25})


@dataclass
class Numbers:
    """Images whose voxels tell subject, side and place; fails at a subject if asked to."""

    fails_at: int = 0

    def pair(self, seed: int, subject: int) -> Pair:
        if subject == self.fails_at:
            raise RuntimeError("out of heads")
        voxels = np.arange(40, dtype=np.float32).reshape(5, 4, 2) + 100 * subject + seed
        return Pair(Volume(voxels, GRID, "a.u."), Volume(-voxels, GRID, "HU"))


def names(folder: Path) -> dict[str, list[str]]:
    return {name: sorted(p.name for p in (folder / name).iterdir()) for name in FOLDERS}


def test_volumes_are_where_the_record_says(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = write_folder(
        Numbers(), ORDER, to=tmp_path / "d", progress=lambda done, total: seen.append((done, total))
    )
    folder = tmp_path / "d"
    assert written == [*(folder / name for name in FOLDERS), folder / RECORD]
    record = json.loads((folder / RECORD).read_text())
    assert (record["task"], record["seed"]) == ("mr-ct", 3)
    assert record["settings"] == {"dose": 0.25}
    found = names(folder)
    for group, key in (("trainA", "trainA"), ("trainB", "trainB"), ("testA", "test")):
        assert found[group] == [f"subject-{n:03d}.nii.gz" for n in record[key]]
    assert found["testA"] == found["testB"]
    assert not set(found["trainA"]) & set(found["trainB"])
    a, b = (read_scan(folder / side / found["testA"][0]).volume for side in ("testA", "testB"))
    np.testing.assert_array_equal(a.voxels, -b.voxels)
    assert a.geometry.same_grid(b.geometry)
    assert seen[-1] == (5, 5)


def test_pictures_keep_values_and_what_is_up(tmp_path: Path) -> None:
    order = replace(ORDER, pictures=Pictures("uint16", "uint8"))
    write_folder(Numbers(), order, to=tmp_path / "d")
    found = names(tmp_path / "d")
    assert found["testA"] == ["subject-005_001.png", "subject-005_002.png"]
    picture = read_scan(tmp_path / "d" / "testA" / "subject-005_002.png").volume
    expected = Numbers().pair(3, 5).a.voxels[:, :, 1:]
    np.testing.assert_array_equal(picture.voxels, expected)
    assert not np.array_equal(picture.voxels, expected[:, ::-1])
    assert picture.geometry.axis_codes[:2] == GRID.axis_codes[:2] == "LP"


def test_the_same_order_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        write_folder(Numbers(), replace(ORDER, seed=seed), to=tmp_path / name)
    one, two, three = (tree_hash(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_a_failure_leaves_nothing_and_an_interrupted_overwrite_the_old(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        write_folder(Numbers(fails_at=4), ORDER, to=tmp_path / "d")
    assert list(tmp_path.iterdir()) == []
    write_folder(Numbers(), ORDER, to=tmp_path / "d")
    before = tree_hash(tmp_path)
    with pytest.raises(RuntimeError):
        write_folder(Numbers(fails_at=4), ORDER, to=tmp_path / "d", overwrite=True)
    assert tree_hash(tmp_path) == before


def test_a_folder_is_replaced_only_if_asked_for_and_all_is_ours(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_folder(Numbers(), ORDER, to=folder)
    before = tree_hash(folder)
    with pytest.raises(CannotWrite, match="exists already"):
        write_folder(Numbers(), ORDER, to=folder)
    assert tree_hash(folder) == before
    write_folder(Numbers(), replace(ORDER, seed=9), to=folder, overwrite=True)
    assert tree_hash(folder) != before
    (folder / "trainA" / "notes.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="did not write"):
        write_folder(Numbers(), ORDER, to=folder, overwrite=True)
    assert (folder / "trainA" / "notes.txt").read_text() == "mine"
