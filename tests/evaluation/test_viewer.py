"""The copies that the viewer shows: which voxels, where, how exact, how large."""

from __future__ import annotations

import base64
import itertools
import zlib

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer

NAMES = ("a", "a")
TURN = np.deg2rad(12.0)
OBLIQUE = np.array(
    [[1.0, 0.0, 0.0], [0.0, np.cos(TURN), -np.sin(TURN)], [0.0, np.sin(TURN), np.cos(TURN)]]
)


def grid(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], order=(0, 1, 2), signs=None
) -> Geometry:
    """An oblique grid whose voxel axes lie along ``order`` of the world, with ``signs``."""
    affine = np.eye(4)
    turned = (OBLIQUE * (signs or (1, 1, 1)))[:, order]
    affine[:3, :3] = turned * spacing_mm
    affine[:3, 3] = (7.0, -11.0, 5.0)
    return Geometry(shape, affine)


def ramp(geometry: Geometry, unit: Unit = "HU") -> Volume:
    """Values that are linear in the place: 3 R - 5 A + 7 S, in mm."""
    place = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1).astype(float))
    return Volume((place @ (3.0, -5.0, 7.0)).astype(np.float32), geometry, unit)


def decoded(viewer: Viewer, number: int) -> np.ndarray:
    """The values of an image, (left, back, feet), by the words of the docstring."""
    shape = viewer.about["shape"]
    low, high = np.frombuffer(
        zlib.decompress(base64.b64decode(viewer.voxels[number])), dtype=np.uint8
    ).reshape(2, -1)
    codes = (low.astype(np.uint16) | (high.astype(np.uint16) << 8)).view(np.int16)
    images = viewer.about["images"]
    about = images[number] if number < len(images) else {"step": 1.0, "offset": 0.0}
    return about["offset"] + about["step"] * codes.reshape(shape[::-1]).transpose(2, 1, 0)


def places(viewer: Viewer) -> np.ndarray:
    """Where the shown voxels are, in RAS mm."""
    indices = np.moveaxis(np.indices(viewer.about["shape"]), 0, -1)
    affine = np.asarray(viewer.about["affineRas"])
    return indices @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_every_voxel_shown_is_the_mean_of_those_at_its_place(order, signs) -> None:
    # The mean of a linear image over a block is its value in the block's middle.
    image = ramp(grid((8, 12, 18), (1.0, 0.7, 2.0), order, signs))
    viewer = make_viewer({"a": image}, layers=NAMES)
    expected = places(viewer) @ (3.0, -5.0, 7.0)
    assert np.abs(decoded(viewer, 0) - expected).max() <= 0.51  # HU, rounded to whole numbers
    for axis in range(3):  # the control: a copy that is the wrong way round
        assert np.abs(np.flip(decoded(viewer, 0), axis) - expected).max() > 5.0
    spacing_mm = np.asarray(viewer.about["spacingMm"])
    assert set(spacing_mm.round(3)) == {2.0, 2.1}
    affine = np.asarray(viewer.about["affineRas"])[:3, :3]
    assert np.allclose(np.linalg.norm(affine, axis=0), spacing_mm)
    assert (np.diag(affine) < 0).all()  # left, back, feet


def test_a_block_that_is_cut_off_by_the_border_is_filled_with_it() -> None:
    image = ramp(grid((5, 8, 8), (1.0, 1.0, 1.0)))
    viewer = make_viewer({"a": image}, layers=NAMES)
    assert viewer.about["shape"] == [3, 4, 4]
    last = image.voxels[0, -2:, -2:]  # voxels run to the right, those shown to the left
    assert abs(decoded(viewer, 0)[2, 0, 0] - last.mean()) <= 0.51


def test_the_body_is_cut_out_with_a_margin_and_its_outline_kept() -> None:
    image = ramp(grid((60, 60, 60), (2.0, 2.0, 2.0)))
    inside = np.zeros(image.geometry.shape, dtype=np.float32)
    inside[20:40, 25:30, 2:50] = 1.0
    body = image.with_voxels(inside, unit="mask")
    viewer = make_viewer({"a": image}, layers=NAMES, body=body)
    assert viewer.about["shape"] == [30, 15, 55]  # 5 voxels at each side, 2 at the border
    shown = decoded(viewer, 1)
    assert shown.sum() == inside.sum()
    assert np.abs(decoded(viewer, 0) - places(viewer) @ (3.0, -5.0, 7.0)).max() <= 0.51
    there = places(viewer)[shown == 1]
    expected = image.geometry.to_world(np.argwhere(inside > 0).astype(float))
    assert np.allclose(there.min(axis=0), expected.min(axis=0))
    assert np.allclose(there.max(axis=0), expected.max(axis=0))
    assert "Cut to the body with 10 mm" in viewer.treatment
    assert "Cut to the body" not in make_viewer({"a": image}, layers=NAMES).treatment


@pytest.mark.parametrize("most", [200_000, 20_000, 1000])
def test_no_copy_has_more_voxels_than_allowed(most: int) -> None:
    image = ramp(grid((90, 80, 70), (1.5, 1.0, 3.0)))
    viewer = make_viewer({"a": image}, layers=NAMES, most_voxels=most)
    shape, spacing_mm = viewer.about["shape"], viewer.about["spacingMm"]
    assert most / 4 < np.prod(shape) <= most
    assert max(spacing_mm) / min(spacing_mm) < 2.1  # voxels stay near cubes
    size = " × ".join(f"{s:.3g}" for s in spacing_mm)  # noqa: RUF001
    assert f"oxels of {size} mm" in viewer.treatment


def test_what_is_said_of_values_is_of_the_units_that_are_there() -> None:
    geometry = grid((20, 20, 20), (2.0, 2.0, 2.0))
    ct, mr = ramp(geometry), ramp(geometry, "a.u.")
    for images, expected in (
        ({"a": ct}, (1, 0)),
        ({"a": mr}, (0, 1)),
        ({"a": ct, "b": mr}, (1, 1)),
    ):
        said = make_viewer(images, layers=NAMES).treatment
        assert (said.count("HU rounded"), said.count("Signal to 256 levels")) == expected


def test_a_picture_keeps_its_pixels() -> None:
    image = ramp(grid((40, 30, 1), (0.2, 0.2, 1.0)), "a.u.")
    viewer = make_viewer({"a": image}, layers=NAMES)
    assert viewer.about["shape"] == [40, 30, 1]
    assert "as in the grid" in viewer.treatment


def test_signal_without_a_unit_keeps_256_levels_of_its_range() -> None:
    image = ramp(grid((8, 12, 18), (3.0, 3.0, 3.0)), "a.u.")
    viewer = make_viewer({"a": image}, layers=NAMES)
    low, high = np.percentile(image.voxels, (0.5, 99.5))
    expected = np.clip(places(viewer) @ (3.0, -5.0, 7.0), low, high)
    off = np.abs(decoded(viewer, 0) - expected).max()
    assert off <= 0.51 * (high - low) / 255.0
    assert off > 0.3 * (high - low) / 255.0  # the control: it is rounded
    flat = image.with_voxels(np.full(image.geometry.shape, 3.0, dtype=np.float32))
    assert np.allclose(decoded(make_viewer({"a": flat}, layers=NAMES), 0), 3.0)


def test_what_the_page_is_told() -> None:
    one, other = ramp(grid((8, 8, 8), (3.0, 3.0, 3.0))), ramp(grid((8, 8, 8), (3.0, 3.0, 3.0)))
    difference = Difference("b - a", "b", "a", 300.0)
    about = make_viewer({"a": one, "b": other}, differences=[difference], layers=("b", "a")).about
    assert [image["name"] for image in about["images"]] == ["a", "b"]
    assert about["differences"] == [
        {"name": "b - a", "first": "b", "second": "a", "most_hu": 300.0}
    ]
    assert about["layers"] == ["b", "a"]
    widths = {preset["name"]: (preset["level"], preset["width"]) for preset in about["presets"]}
    assert widths == {"Brain": (40, 80), "Soft tissue": (40, 400), "Bone": (400, 2000)}


def test_images_on_different_grids_are_refused() -> None:
    one, other = ramp(grid((8, 8, 8), (3.0, 3.0, 3.0))), ramp(grid((8, 8, 9), (3.0, 3.0, 3.0)))
    with pytest.raises(InputRefused, match="b has"):
        make_viewer({"a": one, "b": other}, layers=NAMES)
