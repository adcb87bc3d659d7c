"""Laws of .mhd with .zraw: two files that cannot appear at once, and never belong to two images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite
from medcyclegan.io.itk import image as itk_image
from medcyclegan.io.itk.image import read_itk, write_itk
from medcyclegan.io.scan import ItkSourceHeader
from tests.image_factory import OBLIQUE, SHAPE, volume_of


def write(volume: Volume, to: Path, *, overwrite: bool = False) -> None:
    write_itk(volume, source_header=ItkSourceHeader(), to=to, overwrite=overwrite)


@pytest.fixture
def volumes() -> tuple[Volume, Volume]:
    first = volume_of(Geometry(SHAPE, OBLIQUE))
    return first, first.with_voxels(np.ascontiguousarray(first.voxels[::-1]), unit=first.unit)


def test_a_run_that_was_killed_before_the_header_can_be_repeated(
    tmp_path: Path, volumes: tuple[Volume, Volume]
) -> None:
    header, data = tmp_path / "a.mhd", tmp_path / "a.zraw"
    write(volumes[0], header)
    wanted = header.read_bytes(), data.read_bytes()
    header.unlink()  # as the kill leaves it
    write(volumes[0], header)
    assert (header.read_bytes(), data.read_bytes()) == wanted
    header.unlink()
    with pytest.raises(CannotWrite, match=r"a\.zraw exists already"):  # the control: others' voxels
        write(volumes[1], header)
    assert data.read_bytes() == wanted[1]


def test_no_header_stands_while_its_voxels_are_replaced(
    tmp_path: Path, volumes: tuple[Volume, Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = tmp_path / "a.mhd"
    write(volumes[0], header)
    seen = []

    def look(*_: object, **__: object) -> None:
        seen.append(header.exists())

    monkeypatch.setattr(itk_image, "_check_written", look)
    write(volumes[1], header, overwrite=True)
    assert seen == [False]
    assert np.array_equal(read_itk(header).volume.voxels, volumes[1].voxels)


def test_a_fault_leaves_no_half_of_a_pair(
    tmp_path: Path, volumes: tuple[Volume, Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CannotWrite("what was read back is not what was written")

    monkeypatch.setattr(itk_image, "_check_written", fail)
    for overwrite in (False, True):
        with pytest.raises(CannotWrite, match="read back"):
            write(volumes[0], tmp_path / "a.mhd", overwrite=overwrite)
        assert list(tmp_path.iterdir()) == []
