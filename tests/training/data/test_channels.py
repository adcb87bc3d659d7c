"""Registered images as channels of one side: found by name, on one grid, refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medcyclegan.errors import InputRefused
from medcyclegan.training.data.check import draw_batch
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.open import open_data
from tests.training.data.data_factory import (
    CT,
    MR,
    MR_WINDOW,
    STILL,
    config,
    ct_values,
    mr_values,
    write_picture,
    write_volume,
)
from tests.training.data.layout_factory import nnunet, write_rows

TWO: dict[str, Any] = {**MR, "channels": ["t1", "t2"]}


def by_subfolder(root: Path, *, cases: int = 2) -> Folders:
    """``mr/t1``, ``mr/t2`` and ``ct``; T2 is on a grid of half the spacing."""
    for n in range(cases):
        write_volume(root / "mr" / "t1" / f"p{n}.nii.gz", mr_values(n))
        fine = np.kron(mr_values(n), np.ones((2, 2, 2), np.float32)) * np.float32(0.5)
        write_volume(root / "mr" / "t2" / f"p{n}.nii.gz", fine, spacing_mm=2.5)
        write_volume(root / "ct" / f"p{n}.nii.gz", ct_values(n))
    return Folders(root / "mr", root / "ct")


def test_channels_by_subfolder_on_one_grid(tmp_path: Path) -> None:
    folders = by_subfolder(tmp_path)
    data = open_data(config(a=TWO, augment=STILL), folders, seed=0)
    sample = data.train[0]
    assert (sample.a.shape, sample.b.shape) == ((2, 3, 20, 20), (3, 20, 20))
    case = data.train.side_a.cases[0]  # type: ignore[attr-defined]
    first, second = case.values("a")
    assert first.shape == second.shape == case.shape
    # the same head at half the signal: at one place, and each channel with percentiles of its own
    middle = tuple(slice(n // 3, 2 * n // 3) for n in case.shape)
    inside = torch.stack([first[middle].flatten(), second[middle].flatten()])
    assert float(torch.corrcoef(inside)[0, 1]) > 0.95
    assert float(second.max()) == 1.0
    assert case.meta.channels == (2, 0)
    draw_batch(data.train, to=tmp_path / "batch.png", count=2)
    held = open_data(config(a=TWO, validation_share=0.5), folders, seed=0).validation
    assert any(case.a is not None and case.a.shape[0] == 2 for case in held)
    assert all(case.mask is not None and case.mask.ndim == 3 for case in held)


def test_channels_of_a_pair_are_changed_alike(tmp_path: Path) -> None:
    windowed = {**MR_WINDOW, "channels": ["in phase", "water"]}
    for n in range(2):
        for name in ("in_phase", "water", "ct"):
            write_volume(tmp_path / "set" / f"p{n}" / f"{name}.nii", mr_values(n))
    folders = Folders(tmp_path / "set", tmp_path / "set")
    asked = {"a": windowed, "b": {**MR_WINDOW, "channels": ["ct"]}, "pairs": "by-name"}
    for path in (tmp_path / "set").rglob("water.nii"):  # the control of equal contents
        path.unlink()
        write_volume(path, mr_values(int(path.parent.name[1:])) + np.float32(1e-3))
    data = open_data(config(**asked, augment={"intensity": []}), folders, seed=0)
    assert data.summary.training_pairs == 2
    for n in range(6):
        sample = data.train[n]
        assert sample.paired
        assert torch.allclose(sample.a[0], sample.b, atol=1e-3)
        assert torch.allclose(sample.a[1], sample.b, atol=1e-3)


def test_one_channel_chooses_by_name_and_keeps_its_shape(tmp_path: Path) -> None:
    folders = by_subfolder(tmp_path)
    data = open_data(config(a={**MR, "channels": ["T2w"]}), folders, seed=0)
    assert data.train[0].a.shape == (3, 20, 20)
    assert data.summary.a.spacing_mm[0] == (2.5, 2.5)
    assert data.summary.a.training_inputs == 2


def test_contrasts_change_channel_by_channel(tmp_path: Path) -> None:
    data = open_data(config(a=TWO), by_subfolder(tmp_path), seed=0)
    samples = [data.train[n].a for n in range(8)]
    assert any(float((one[0] - one[1]).abs().mean()) > 0.05 for one in samples)


def test_a_missing_doubled_or_strange_channel_is_refused_by_name(tmp_path: Path) -> None:
    folders = by_subfolder(tmp_path, cases=3)
    write_volume(tmp_path / "mr" / "flair" / "p0.nii.gz", mr_values(70))
    data = open_data(config(a=TWO), folders, seed=0)
    assert "images of no channel of A left out: 1." in " ".join(data.summary.warnings)
    (tmp_path / "mr" / "t2" / "p1.nii.gz").unlink()
    write_volume(tmp_path / "mr" / "t1" / "p2_t1.nii.gz", mr_values(71))
    with pytest.raises(InputRefused) as caught:
        open_data(config(a=TWO), folders, seed=0)
    said = str(caught.value)
    assert "2 of 6 inputs cannot be used" in said
    assert "p1 of side A has no image for the channel t2" in said
    assert "p2 of side A has 2 images that could be the channel t1" in said


def test_channels_with_one_content_or_in_another_place_are_refused(tmp_path: Path) -> None:
    folders = by_subfolder(tmp_path)
    target = tmp_path / "mr" / "t2" / "p0.nii.gz"
    good = target.read_bytes()
    target.write_bytes((tmp_path / "mr" / "t1" / "p0.nii.gz").read_bytes())
    with pytest.raises(InputRefused, match="p0: two of its channels have the same content"):
        open_data(config(a=TWO), folders, seed=0)
    target.unlink()
    write_volume(target, mr_values(5), spacing_mm=1.0)  # a corner of it alone
    with pytest.raises(InputRefused, match=r"t2/p0\.nii\.gz covers \d+% of .*t1/p0\.nii\.gz"):
        open_data(config(a=TWO), folders, seed=0)
    target.write_bytes(good)
    open_data(config(a=TWO), folders, seed=0)  # the control


def test_channels_by_table_and_of_nnunet(tmp_path: Path) -> None:
    folders = by_subfolder(tmp_path)
    rows = [
        (f"p{n}", channel, f"mr/{channel}/p{n}.nii.gz" if channel != "CT" else f"ct/p{n}.nii.gz")
        for n in range(2)
        for channel in ("t1", "t2", "CT")
    ]
    path = write_rows(tmp_path / "data.csv", rows, ("subject", "channel", "path"))
    data = open_data(config(a=TWO, pairs="by-name"), Folders(path, path), seed=0)
    assert data.summary.training_pairs == 2
    one = {**MR, "channels": ["t2"]}
    data_t2 = open_data(config(a=one, pairs="by-name"), Folders(path, path), seed=0)
    assert data_t2.train[0].a.shape == (3, 20, 20)
    assert data_t2.summary.a.spacing_mm[0] == (2.5, 2.5)
    write_rows(path, [*rows, ("p0", "flair", "mr/t1/p0.nii.gz")], ("subject", "channel", "path"))
    folder = open_data(config(a=TWO, pairs="by-name"), folders, seed=0)
    for n in range(4):
        assert torch.equal(data.train[n].a, folder.train[n].a)
    place = nnunet(tmp_path / "set", channels=["T1", "T2", "CT"])
    data = open_data(config(a=TWO, b=CT, pairs="by-name"), Folders(place, place), seed=0)
    assert (data.summary.training_pairs, data.train[0].a.shape) == (3, (2, 3, 20, 20))


def test_pictures_are_channels_too(tmp_path: Path) -> None:
    side = {"modality": "image", "unit": "a.u.", "channels": ["red", "near"]}
    side["scaling"] = {"kind": "window", "lower": 0, "upper": 255}
    for n in range(2):
        write_picture(tmp_path / "a" / f"s{n}_red.png", n)
        write_picture(tmp_path / "a" / f"s{n}_near.png", 10 + n)
        write_picture(tmp_path / "b" / f"s{n}.png", 20 + n)
    plain = {**side, "channels": []}
    wanted = config(a=side, b=plain, depth=1)
    data = open_data(wanted, Folders(tmp_path / "a", tmp_path / "b"), seed=0)
    assert data.train[0].a.shape == (2, 1, 20, 20)


def test_channels_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError, match="each has a name of its own"):
        config(a={**MR, "channels": ["t1", "T1"]})
    noise = {"a": {**CT, "channels": ["low", "high"]}, "b": CT, "matched_noise": 0.5}
    with pytest.raises(ValidationError, match="one channel on either side"):
        config(**noise)
