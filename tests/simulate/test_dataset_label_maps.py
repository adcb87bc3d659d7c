"""Label maps read from a folder and dealt to subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.simulate.datasets import read_heads, split_subjects
from tests.simulate.head_labels import head_labels


def write_maps(folder: Path, count: int) -> None:
    for n in range(count):
        grid = geometry_from_spacing((32, 34, 30 + 2 * n), (4.0, 4.0, 4.0))
        write_nifti(
            head_labels(grid), source_header=ItkSourceHeader(), to=folder / f"head_{n}.nii.gz"
        )


def test_heads_are_dealt_so_that_no_group_shares_one(tmp_path: Path) -> None:
    write_maps(tmp_path, 4)
    split = split_subjects(8)
    seen: list[int] = []
    dealt = read_heads(tmp_path, split, progress=lambda done, total: seen.append(total))
    assert len(dealt.heads) == len(dealt.names) == 8
    groups = [{dealt.names[n - 1] for n in g} for g in (split.train_a, split.train_b, split.test)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 4
    assert seen == [4, 4, 4, 4]
    assert dealt.heads[0] is dealt.heads[2]  # each map is prepared once


def test_what_is_no_folder_of_label_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no label maps"):
        read_heads(tmp_path, split_subjects(4))
    write_maps(tmp_path, 2)
    with pytest.raises(UsageError):
        read_heads(tmp_path, split_subjects(4))
    grid = geometry_from_spacing((8, 8, 8), (4.0, 4.0, 4.0))
    ramp = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    write_nifti(
        Volume(ramp, grid, "label"), source_header=ItkSourceHeader(), to=tmp_path / "a.nii.gz"
    )
    with pytest.raises(InputRefused, match=r"a\.nii\.gz.*Unknown labels"):
        read_heads(tmp_path, split_subjects(4))
