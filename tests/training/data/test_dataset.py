"""Slabs: item n is item n, pairs stay aligned, patches show the body, heights match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from medcyclegan.errors import InputRefused
from medcyclegan.training.data.case import (
    POSITION_TOLERANCE,
    Chooser,
    InMemory,
    Meta,
    Place,
    cut,
    draw_place,
    make_case,
    same_place,
)
from medcyclegan.training.data.config import DataConfig, Folders
from medcyclegan.training.data.dataset import FolderSlabs
from medcyclegan.training.data.open import open_data
from medcyclegan.training.data.types import Sample
from tests.training.data.data_factory import (
    CT,
    MR_WINDOW,
    PICTURES,
    STILL,
    config,
    ct_values,
    heads,
    inside,
    mr_values,
    write_picture,
    write_volume,
)


def same(one: Sample, other: Sample) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


def test_item_n_depends_on_the_seed_and_n_alone(tmp_path: Path) -> None:
    folders = heads(tmp_path)
    slabs = open_data(config(), folders, seed=3).train
    first = [slabs[n] for n in range(6)]
    again = open_data(config(), folders, seed=3).train
    assert all(same(again[n], first[n]) for n in (5, 0, 3, 3))
    assert not any(same(first[0], other) for other in first[1:])
    assert not same(open_data(config(), folders, seed=4).train[0], first[0])
    for sample in first:
        assert sample.a.shape == sample.b.shape == (3, 20, 20)
        assert sample.a.dtype == sample.b.dtype == torch.float32
        assert float(sample.a.min()) >= -1.0
        assert float(sample.b.max()) <= 1.0
        assert not sample.paired


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_workers_make_the_same_items(tmp_path: Path, cache: str) -> None:
    data = open_data(config(cache=cache), heads(tmp_path), seed=3, cache_folder=tmp_path / "cache")
    loader = DataLoader(data.train, batch_size=2, sampler=range(4), num_workers=2)
    made = list(loader)
    assert [type(batch) for batch in made] == [Sample, Sample]
    for n in range(4):
        batch = made[n // 2]
        assert same(Sample(*(part[n % 2] for part in batch)), data.train[n])


def paired_folders(root: Path, *, alone: int = 0) -> Folders:
    """The same values on both sides, under the same names; ``alone`` more on either side."""
    for n in range(2):
        for side in ("a", "b"):
            write_volume(root / side / f"p{n}" / "scan.nii.gz", mr_values(n))
    for n in range(alone):
        write_volume(root / "a" / f"x{n}.nii", mr_values(20 + n))
        write_volume(root / "b" / f"y{n}.nii", mr_values(40 + n))
    return Folders(root / "a", root / "b")


def pairs_config(**changes: Any) -> DataConfig:
    settings: dict[str, Any] = {"a": MR_WINDOW, "b": MR_WINDOW, "pairs": "by-name"}
    return config(**{**settings, "augment": {"intensity": []}, **changes})


def test_both_sides_of_a_pair_are_of_one_place_and_changed_alike(tmp_path: Path) -> None:
    folders = paired_folders(tmp_path)
    data = open_data(pairs_config(), folders, seed=1)
    assert data.summary.training_pairs == 2
    for n in range(10):
        sample = data.train[n]
        assert sample.paired
        assert torch.equal(sample.a, sample.b)
        assert float(sample.a.std()) > 0.1
    # the control: unpaired, the two are of different places
    apart = pairs_config(pairs="none", position_matched=False)
    unpaired = open_data(apart, folders, seed=1).train
    assert not any(torch.equal(unpaired[n].a, unpaired[n].b) for n in range(10))
    assert not unpaired[0].paired


def test_some_paired_and_some_not(tmp_path: Path) -> None:
    data = open_data(pairs_config(), paired_folders(tmp_path, alone=2), seed=1)
    assert (data.summary.training_pairs, data.summary.a.training_inputs) == (2, 4)
    samples = [data.train[n] for n in range(40)]
    assert 8 <= sum(bool(sample.paired) for sample in samples) <= 32
    for sample in samples:
        assert torch.equal(sample.a, sample.b) == bool(sample.paired)


def test_pairs_are_brought_to_one_grid_and_held_back_as_pairs(tmp_path: Path) -> None:
    folders = paired_folders(tmp_path)
    fine = np.repeat(np.repeat(np.repeat(ct_values(3), 2, 0), 2, 1), 2, 2)
    write_volume(tmp_path / "va" / "v.nii", ct_values(3))
    write_volume(tmp_path / "vb" / "v.nii", fine, spacing_mm=2.5)
    write_volume(tmp_path / "vb" / "w.nii", ct_values(4))
    asked = config(a=CT, b=CT)
    for side in ("a", "b"):
        for n in range(2):
            (tmp_path / side / f"p{n}" / "scan.nii.gz").unlink()
            write_volume(tmp_path / side / f"q{n}" / "scan.nii.gz", ct_values(60 + n))
    given = Folders(folders.a, folders.b, tmp_path / "va", tmp_path / "vb")
    pair, alone = open_data(asked, given, seed=0).validation
    assert (pair.name, pair.paired, alone.name, alone.paired) == ("v", True, "w", False)
    assert pair.a is not None
    assert pair.b is not None
    assert pair.mask is not None
    assert pair.a.shape == pair.b.shape == pair.mask.shape
    assert pair.mask.dtype == torch.bool
    error = (pair.a - pair.b).abs()[pair.mask].mean()
    assert error < 0.1  # 150 HU of 3000: edges of the head
    shifted = (pair.a - pair.b.roll(2, dims=1)).abs()[pair.mask].mean()
    assert shifted > error  # the control
    assert alone.a is None
    assert alone.b is not None


def test_pairs_that_cannot_be_aligned_are_refused(tmp_path: Path) -> None:
    for side, size in (("a", (40, 30)), ("b", (41, 30))):
        write_picture(tmp_path / side / "x.png", 0, size=size)
    asked = config(a=PICTURES, b=PICTURES, depth=1, pairs="by-name")
    with pytest.raises(InputRefused, match=r"40 x 30 x 1(.|\n)*one size"):
        open_data(asked, Folders(tmp_path / "a", tmp_path / "b"), seed=0)


def crescent() -> np.ndarray:
    """A body (1, 60, 60) that its bounding box does not describe."""
    rows, columns = np.mgrid[:60, :60] - 30
    outer = rows**2 + columns**2 < 28**2
    return np.asarray(outer & ~((rows - 8) ** 2 + columns**2 < 22**2))[None]


def test_patches_are_drawn_from_inside_the_body() -> None:
    body = crescent()
    meta = Meta(part=None, normal=2, plane=True, facts=(), channels=(1, 0))
    case = make_case("c", "c", "PNG", meta, InMemory(np.stack([body, body]).astype(np.int16)))
    rng = np.random.default_rng(0)
    places = [draw_place(case, 0, rng, size_px=1) for _ in range(200)]
    assert all(body[0, place.row, place.column] for place in places)
    assert len({(place.row, place.column) for place in places}) > 100
    # the control: in the box around the body, most pixels are none of it
    top, bottom, left, right = case.boxes[0]
    assert body[0, top : bottom + 1, left : right + 1].mean() < 0.5


def test_a_patch_stays_in_a_large_image_and_a_small_one_lies_in_its_middle() -> None:
    values = np.full((1, 60, 30), 32767, dtype=np.int16)
    meta = Meta(part=None, normal=2, plane=True, facts=(), channels=(1, 0))
    case = make_case("c", "c", "PNG", meta, InMemory(np.stack([values, values // 32767])))
    rng = np.random.default_rng(0)
    for _ in range(30):
        place = draw_place(case, 0, rng, size_px=40)
        patch = cut(case, place, depth=3, size_px=40)
        assert patch.shape == (3, 40, 40)
        assert torch.equal(patch[:, :, 5:35], torch.ones(3, 40, 30))
        assert torch.equal(patch[:, :, :5], torch.full((3, 40, 5), -1.0))
        wide = cut(case, place, depth=3, size_px=50)
        assert torch.equal(wide[:, 5:-5, 5:-5], patch)


def ramps(root: Path) -> Folders:
    """Heads whose signal tells the height, of different numbers of slices."""
    for side, slices in (("a", 24), ("b", 40)):
        shape = (30, 34, slices)
        height = np.linspace(-1.3, 1.3, slices)
        values = np.where(inside(shape), 500.0 + 400.0 * height, 0.0).astype(np.float32)
        write_volume(root / side / f"{side}.nii", values)
    return Folders(root / "a", root / "b")


def mean_apart(slabs: FolderSlabs) -> float:
    """Mean difference of heights of A and B as shares of the head's, from their signal."""
    samples = [slabs[n] for n in range(40)]
    return float(np.mean([abs(float(s.a[1].max() - s.b[1].max())) / 1.6 for s in samples]))


def test_slabs_are_of_the_same_height_where_that_is_asked_for(tmp_path: Path) -> None:
    folders = ramps(tmp_path)
    asked = {"a": MR_WINDOW, "b": MR_WINDOW, "augment": STILL}
    matched = open_data(config(**asked), folders, seed=0).train
    free = open_data(config(**asked, position_matched=False), folders, seed=0).train
    assert isinstance(matched, FolderSlabs)
    assert isinstance(free, FolderSlabs)
    assert mean_apart(matched) < POSITION_TOLERANCE + 0.02
    assert mean_apart(free) > 0.2  # the control; two random heights are a third apart
    chooser, rng = Chooser(matched.side_b.cases), np.random.default_rng(0)
    for height in np.linspace(0, 1, 11):
        case, index = chooser.slice_at(float(height), 2, rng) or pytest.fail("no volume")
        half_a_slice = 0.5 / (case.slices[-1] - case.slices[0])
        assert abs(case.relative_height(index) - height) <= POSITION_TOLERANCE + half_a_slice
    assert chooser.slice_at(0.5, 0, rng) is None


def bodies(root: Path) -> Folders:
    """A ball in A, and in B a larger one, elsewhere in its image."""
    for side, radius, middle in (("a", 10, (14, 14, 14)), ("b", 13, (24, 20, 15))):
        i, j, k = np.mgrid[:40, :36, :30]
        apart = (i - middle[0]) ** 2 + (j - middle[1]) ** 2 + (k - middle[2]) ** 2
        values = np.where(apart < radius**2, 500.0, 0.0).astype(np.float32)
        write_volume(root / side / f"{side}.nii", values)
    return Folders(root / "a", root / "b")


def edges(slab: torch.Tensor) -> NDArray[np.intp]:
    """First and last row and column of the body in the middle slice of a slab."""
    body = (slab[slab.shape[0] // 2] > -0.5).numpy()
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    return np.array([rows[0], rows[-1], columns[0], columns[-1]])


def test_matched_slabs_show_the_same_place_of_bodies_brought_to_one_size(tmp_path: Path) -> None:
    folders = bodies(tmp_path)
    asked = {"a": MR_WINDOW, "b": MR_WINDOW, "size_px": 36}
    for augment in (STILL, {**STILL, "turn_deg": 20, "shift_px": 3, "flip": 0.5}):
        slabs = open_data(config(**asked, augment=augment), folders, seed=0).train
        samples = [slabs[index] for index in range(30)]
        assert all(bool(sample.matched) for sample in samples)
        apart = [np.abs(edges(s.a) - edges(s.b)).max() for s in samples if s.a.max() > -0.5]
        assert np.mean(apart) < 1.5
    # the control: as they lie in their images, they are far apart
    free = open_data(config(**asked, augment=STILL, position_matched=False), folders, seed=0).train
    samples = [free[index] for index in range(30)]
    assert not any(bool(sample.matched) for sample in samples)
    assert np.mean([np.abs(edges(s.a) - edges(s.b)).max() for s in samples]) > 2.0


def test_a_place_goes_to_another_body_and_back() -> None:
    meta = Meta(part=None, normal=2, plane=False, facts=(), channels=(1, 0))
    cases = []
    for first, last in ((10, 29), (16, 40)):
        body = np.zeros((9, 60, 60), np.int16)
        body[:, first : last + 1, first : last + 1] = 1
        cases.append(make_case("c", "c", "NIfTI", meta, InMemory(np.stack([body, body]))))
    there = same_place(cases[0], Place(4, 10, 29), cases[1], 4)
    assert (there.row, there.column) == pytest.approx((16, 40), abs=1)
    assert there.zoom == pytest.approx((25 / 20, 25 / 20))
    again = same_place(cases[1], there, cases[0], 4)
    assert (again.row, again.column) == pytest.approx((10, 29), abs=1)


def test_ct_keeps_its_values_and_mr_does_not(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    still = open_data(config(augment=STILL), folders, seed=0).train
    changed = {**STILL, "gamma": 0.4, "bias": 0.4, "intensity": ["a", "b"]}
    varied = open_data(config(augment=changed), folders, seed=0).train
    for n in range(5):
        assert torch.equal(still[n].b, varied[n].b)
        assert not torch.equal(still[n].a, varied[n].a)
        assert torch.equal(still[n].a == -1.0, varied[n].a == -1.0)
        assert float(varied[n].a.max()) <= 1.0


def test_turning_shows_what_is_around_the_patch(tmp_path: Path) -> None:
    Path(tmp_path / "a").mkdir()
    for side in ("a", "b"):
        write_picture(tmp_path / side / "x.png", 0, size=(200, 200))
    turned = {**STILL, "turn_deg": 30, "scale": 0.1, "shift_px": 3}
    asked = config(a=PICTURES, b=PICTURES, depth=1, size_px=40, augment=turned)
    slabs = open_data(asked, Folders(tmp_path / "a", tmp_path / "b"), seed=0).train
    assert isinstance(slabs, FolderSlabs)
    case = slabs.side_a.cases[0]
    rng = np.random.default_rng(0)
    wide = cut(case, Place(0, 100, 100), depth=1, size_px=slabs.augmenter.wide_px)
    narrow = cut(case, Place(0, 100, 100), depth=1, size_px=40)
    for _ in range(20):
        assert float(slabs.augmenter.move(wide, rng).min()) > -0.8
    # the control: turned without its surroundings, a patch has empty corners
    assert min(float(slabs.augmenter.move(narrow, rng).min()) for _ in range(20)) == -1.0
