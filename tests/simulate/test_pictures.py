"""Slices as pictures: grey values by the rules told, the same slices of both sides."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.head_pairs import Pair
from medcyclegan.simulate.pictures import CtImages, Slices, slices_with_tissue, windowed

GRID = geometry_from_spacing((6, 8, 5), (1.0, 1.0, 4.0))


class Fixed:
    """The same pair for every subject: tissue in slices 1 to 3, signal that grows along j."""

    def pair(self, seed: int, subject: int) -> Pair:
        hu = np.full(GRID.shape, -1000.0, dtype=np.float32)
        hu[2:4, 2:6, 1:4] = 40.0
        mr = np.where(hu > 0, np.arange(8, dtype=np.float32)[None, :, None] * 100.0, 0.0)
        return Pair(Volume(mr.astype(np.float32), GRID, "a.u."), Volume(hu, GRID, "HU"))


def test_slices_with_tissue_are_shown_and_hu_kept_with_an_offset() -> None:
    source, shown = Fixed().pair(0, 0), Slices(Fixed()).pair(0, 0)
    assert slices_with_tissue(source.b).tolist() == [1, 2, 3]
    np.testing.assert_array_equal(shown.b.voxels - 1024.0, source.b.voxels[:, :, 1:4])
    assert shown.a.voxels.shape == shown.b.voxels.shape
    assert shown.a.voxels.max() == 255.0
    order = np.argsort(source.a.voxels[2, :, 2], kind="stable")
    assert (np.diff(shown.a.voxels[2, order, 1]) >= 0).all()
    assert (shown.a.unit, shown.b.unit) == ("a.u.", "a.u.")


def test_of_a_volume_without_tissue_one_slice_is_shown() -> None:
    air = Volume(np.full(GRID.shape, -1000.0, dtype=np.float32), GRID, "HU")
    assert len(slices_with_tissue(air)) == 1


def test_a_window_goes_from_black_to_white() -> None:
    hu = np.array([-1000.0, -160.0, 40.0, 240.0, 900.0], dtype=np.float32).reshape(5, 1, 1)
    volume = Volume(hu, geometry_from_spacing((5, 1, 1), (1.0, 1.0, 1.0)), "HU")
    assert windowed(volume, (-160.0, 240.0)).voxels.ravel().tolist() == [0, 0, 128, 255, 255]


def test_pictures_of_subjects_differ_in_size_and_those_of_a_subject_do_not() -> None:
    recipe = CtImages(pixels=(24, 60), slices=2)
    pairs = [recipe.pair(seed=1, subject=n) for n in range(1, 6)]
    sizes = {pair.a.voxels.shape[:2] for pair in pairs}
    assert len(sizes) > 3
    for pair in pairs:
        assert pair.a.voxels.shape == pair.b.voxels.shape
        columns, rows, _ = pair.a.voxels.shape
        assert 24 <= rows <= 60
        assert 0.74 < columns / rows <= 1.0
        for volume in (pair.a, pair.b):
            assert volume.voxels.min() >= 0.0
            assert 200.0 < volume.voxels.max() <= 255.0
            assert np.array_equal(volume.voxels, np.rint(volume.voxels))
    again = recipe.pair(seed=1, subject=1)
    assert again.a.voxels.tobytes() == pairs[0].a.voxels.tobytes()


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(UsageError, match="rows"):
        CtImages(pixels=(60, 24))
    with pytest.raises(UsageError, match="Window"):
        CtImages(window_hu=(240.0, -160.0))
