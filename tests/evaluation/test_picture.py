"""Which way round the pictures are, in what proportions, and what is written on them."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.pictures import (
    RESEARCH_USE,
    Names,
    columns_of,
    draw_panel,
    panel_png,
)
from medcyclegan.evaluation.views import View, choose_views, in_viewing_order, obliquity_degrees

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
MARKER = 7.0


def volume(voxels: np.ndarray, spacing_mm=(1.0, 1.0, 1.0), unit: Unit = "HU") -> Volume:
    geometry = geometry_from_spacing(voxels.shape, spacing_mm)
    return Volume(voxels.astype(np.float32), geometry, unit)


def marked() -> Volume:
    """Axes R, A, S; a marker at the patient's left, front and head."""
    voxels = np.zeros((12, 14, 16))
    voxels[1, 11, 14] = MARKER
    return volume(voxels)


def turned(image: Volume, order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """Store the same image in the same place with other axes."""
    voxels, affine = image.voxels, image.geometry.affine_ras.copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:, 3] += affine[:, axis] * (voxels.shape[axis] - 1)
            affine[:, axis] *= -1.0
            voxels = np.flip(voxels, axis)
    columns = affine[:, [*order, 3]]
    voxels = voxels.transpose(order)
    return Volume(voxels, Geometry(voxels.shape, columns), image.unit)


def test_there_are_48_orientations() -> None:
    codes = {turned(marked(), *o).geometry.axis_codes for o in ORIENTATIONS}
    assert len(codes) == 48


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_the_patients_left_is_at_the_right_of_the_image(order, signs) -> None:
    viewed = in_viewing_order(turned(marked(), order, signs))
    assert np.array_equal(viewed, in_viewing_order(marked()))
    axial = View(2, 1, "", (1.0, 1.0)).image(viewed)
    coronal = View(1, 2, "", (1.0, 1.0)).image(viewed)
    sagittal = View(0, 10, "", (1.0, 1.0)).image(viewed)
    # (row, column), from the upper left corner of each image.
    assert np.argwhere(axial == MARKER).tolist() == [[2, 10]]
    assert np.argwhere(coronal == MARKER).tolist() == [[1, 10]]
    assert np.argwhere(sagittal == MARKER).tolist() == [[1, 2]]


def test_without_reordering_the_left_would_be_anywhere() -> None:
    places = set()
    for orientation in ORIENTATIONS:
        other = turned(marked(), *orientation)
        places.add(tuple(np.argwhere(other.voxels == MARKER)[0].tolist()))
    assert len(places) > 40


@pytest.mark.parametrize(
    ("axis", "letters"), [(2, ("R", "L", "A", "P")), (1, ("R", "L", "S", "I")), (0, "APSI")]
)
def test_letters_of_the_views(axis: int, letters: tuple[str, ...]) -> None:
    view = View(axis, 0, "", (1.0, 1.0))
    assert (view.left, view.right, view.top, view.bottom) == tuple(letters)


def head(spacing_mm: tuple[float, float, float]) -> Volume:
    shape = tuple(round(120.0 / s) for s in spacing_mm)
    grid = [(np.arange(n) - (n - 1) / 2.0) * s for n, s in zip(shape, spacing_mm, strict=True)]
    radius = np.sqrt(sum(g**2 for g in np.meshgrid(*grid, indexing="ij")))
    return volume(np.where(radius < 50.0, 40.0, -1000.0), spacing_mm)


def signal_of(ct: Volume) -> Volume:
    return ct.with_voxels(np.maximum(ct.voxels, 0.0), unit="a.u.")


def test_views_are_inside_the_body_and_keep_the_proportions_of_thick_slices() -> None:
    views = choose_views(head((2.0, 2.0, 5.0)))
    assert [view.axis for view in views] == [2, 2, 2, 1, 0]
    for view in views:
        assert view.size_mm == pytest.approx((120.0, 120.0))
    levels = [view.index for view in views[:3]]
    assert levels == sorted(set(levels))
    assert min(levels) > 2
    assert max(levels) < 21


def test_titles_tell_the_position_of_the_plane() -> None:
    ct = head((2.0, 2.0, 5.0))
    titles = [view.title for view in choose_views(ct)]
    assert titles[0].startswith("Axial, S ")
    assert titles[2].startswith("Axial, I ")
    flipped = turned(ct, (2, 0, 1), (-1, 1, -1))
    assert [view.title for view in choose_views(flipped)][:3] == titles[:3]


def test_a_single_slice_gives_one_view() -> None:
    ct = head((2.0, 2.0, 5.0))
    middle = Volume(ct.voxels[:, :, 12:13], Geometry((60, 60, 1), ct.geometry.affine_ras), "HU")
    assert [view.axis for view in choose_views(middle)] == [2]
    with pytest.raises(InputRefused, match="4 rows and columns"):
        choose_views(volume(np.zeros((3, 3, 3))))


def test_obliquity_is_the_largest_angle() -> None:
    angle = np.radians(12.0)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    tilted = Volume(
        np.zeros((8, 8, 8)), geometry_from_spacing((8, 8, 8), (1.0, 1.0, 1.0), turn), "HU"
    )
    assert obliquity_degrees(tilted) == pytest.approx(12.0)
    assert obliquity_degrees(marked()) == pytest.approx(0.0)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def test_the_panel_states_windows_units_and_use() -> None:
    ct = head((4.0, 4.0, 4.0))
    alone = texts(draw_panel(mr=signal_of(ct), sct=ct))
    for words in (RESEARCH_USE, "W 400 L 40 HU", "W 2000 L 400 HU", "a.u.", "patient's right"):
        assert words in alone
    assert "True CT" not in alone
    both = texts(draw_panel(mr=signal_of(ct), sct=ct, ct=ct))
    assert "True CT" in both
    assert "300 HU" in both


def test_images_are_drawn_in_the_stated_windows_and_proportions() -> None:
    ct = head((2.0, 2.0, 5.0))
    figure = draw_panel(mr=signal_of(ct), sct=ct, ct=ct)
    width, height = figure.get_size_inches()
    limits = set()
    for axes in (a for a in figure.axes if not a.axison):
        box = axes.get_position()
        assert box.height * height == pytest.approx(box.width * width)
        limits.add(axes.images[0].get_clim())
    assert {(-160.0, 240.0), (-600.0, 1400.0), (-300.0, 300.0)} < limits


def test_the_picture_is_a_png_in_which_a_turned_scan_looks_the_same(tmp_path: Path) -> None:
    ct = head((4.0, 4.0, 6.0))
    voxels = ct.voxels.copy()
    voxels[3:8, 12:18, 8:12] = 900.0
    ct = ct.with_voxels(voxels)
    plain = panel_png(draw_panel(mr=signal_of(ct), sct=ct))
    other = turned(ct, (1, 2, 0), (-1, 1, -1))
    assert panel_png(draw_panel(mr=signal_of(other), sct=other)) == plain
    mirrored = ct.with_voxels(voxels[::-1])
    assert panel_png(draw_panel(mr=signal_of(mirrored), sct=mirrored)) != plain
    assert Image.open(io.BytesIO(plain)).format == "PNG"


def test_a_constant_image_can_be_drawn_and_other_grids_are_refused() -> None:
    air = volume(np.full((20, 20, 20), -1000.0))
    panel_png(draw_panel(mr=signal_of(air), sct=air))
    with pytest.raises(InputRefused, match="Synthetic CT has"):
        draw_panel(mr=signal_of(head((4.0, 4.0, 4.0))), sct=air)
    with pytest.raises(InputRefused, match="in HU"):
        draw_panel(mr=signal_of(air), sct=air, ct=signal_of(air))


def test_other_translations_are_shown_by_what_their_values_mean() -> None:
    ct = head((4.0, 4.0, 4.0))
    signal = signal_of(ct)
    titles = [
        c.title.split("\n")[0] for c in columns_of(ct, ct, None, Names("CT", "Translated CT"))
    ]
    assert titles == [
        "CT, soft tissue", "CT, bone", "Translated CT, soft tissue", "Translated CT, bone",
        "Output - input",
    ]  # fmt: skip
    to_mr = columns_of(ct, signal, None, Names("CT", "Synthetic MR"))
    assert [c.unit for c in to_mr] == ["HU", "HU", "a.u."]
    t1_t2 = columns_of(signal, signal, None, Names("MR", "Translated MR"))
    assert [c.title for c in t1_t2] == ["MR", "Translated MR"]
    assert [c.has_scale for c in t1_t2] == [True, False]
    shown = draw_panel(mr=ct, sct=signal, names=Names("CT", "Synthetic MR"))
    assert "Synthetic MR: research use only" in [text.get_text() for text in shown.texts]
