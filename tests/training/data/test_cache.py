"""Prepared images on disk: found again, the same as in memory, and remade when they must be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medcyclegan.training.data import collect
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.open import open_data
from medcyclegan.training.data.types import TrainingData
from tests.training.data.data_factory import config, heads, mr_values, write_volume


class Counter:
    """Counts how often an image is prepared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prepared = 0
        original = collect.prepare_scan

        def counted(*args, **kwargs):  # type: ignore[no-untyped-def]
            self.prepared += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(collect, "prepare_scan", counted)

    def since(self) -> int:
        """How often since this was last asked."""
        count, self.prepared = self.prepared, 0
        return count


def equal_items(one: TrainingData, other: TrainingData) -> bool:
    return all(
        torch.equal(x, y)
        for n in range(5)
        for x, y in zip(one.train[n], other.train[n], strict=True)
    )


def test_found_again_and_remade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    folders, cache = heads(tmp_path, a=2, b=2), tmp_path / "cache"
    wanted = config(cache="disk")

    def opened(**changes: object) -> TrainingData:
        asked = wanted.model_copy(update=changes)
        return open_data(asked, folders, seed=0, cache_folder=cache)

    first = opened()
    assert counter.since() == 4
    in_memory = open_data(config(), folders, seed=0)
    assert counter.since() == 4
    assert equal_items(first, in_memory)
    assert equal_items(opened(), first)
    opened(size_px=24, position_matched=False)
    assert counter.since() == 0  # what only drawing depends on changes no entry
    opened(spacing_mm=6.0)
    assert counter.since() == 4

    for image in cache.glob("*.npy"):
        content = bytearray(image.read_bytes())
        content[len(content) // 2] ^= 1
        image.write_bytes(content)
        break
    assert equal_items(opened(), in_memory)
    opened(spacing_mm=6.0)
    assert counter.since() == 1
    next(cache.glob("*.json")).write_text("{}")
    opened()
    opened(spacing_mm=6.0)
    assert counter.since() == 1

    (tmp_path / "a" / "mr00_t1.nii.gz").unlink()
    write_volume(tmp_path / "a" / "mr00_t1.nii.gz", mr_values(77))
    changed = opened()
    assert counter.since() == 1
    assert not equal_items(changed, first)


def test_two_names_of_one_content_keep_their_names(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_volume(tmp_path / "a" / f"{name}.nii", mr_values(1))
    heads(tmp_path, a=0, b=1)
    folders = Folders(tmp_path / "a", tmp_path / "b")
    data = open_data(config(cache="disk"), folders, seed=0, cache_folder=tmp_path / "cache")
    assert [case.name for case in data.train.side_a.cases] == ["x", "y"]  # type: ignore[attr-defined]
