"""Figures say what they show: units, windows, sides, protocol; and they show what there is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from medcyclegan.evaluation.study.figure_patients import (
    AXIAL,
    SAGITTAL,
    Plane,
    Shown,
    body_views,
    cut,
    draw_heights,
    draw_panel,
    draw_profile,
    middle_view,
)
from medcyclegan.evaluation.study.figure_scores import (
    draw_bland_altman,
    draw_error_histogram,
    draw_joint_histogram,
    draw_scores,
    draw_tissues,
)
from medcyclegan.evaluation.study.figure_style import drawing
from medcyclegan.evaluation.study.load import PatientImages
from medcyclegan.evaluation.views import in_viewing_order
from tests.evaluation.study.cohort import head_ct, head_mask, with_error
from tests.evaluation.study.scores import result

METHODS = ("a", "b")
RESULTS = [result(f"P{i}", m, 30.0 + 10.0 * k + i) for i in range(4) for k, m in enumerate(METHODS)]
DRAWERS = (
    draw_scores, draw_tissues, draw_bland_altman, draw_error_histogram, draw_joint_histogram,
    draw_heights,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with drawing():
        yield


def texts(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in figure.findobj(Text) if t.get_visible())


def images(*, with_mr: bool = True) -> PatientImages:
    ct = head_ct()
    mr = ct.with_voxels(np.maximum(ct.voxels + 1000.0, 0.0), unit="a.u.")
    sct = with_error(ct, bias_hu=0.0, noise_hu=30.0, seed=1)
    return PatientImages("P1", ct, head_mask(ct), mr if with_mr else None, {"a": sct, "b": ct})


def planes(*, with_mr: bool = True) -> tuple[Plane, ...]:
    one = images(with_mr=with_mr)
    views = body_views(one.mask)
    return cut(one, (views[AXIAL], views[SAGITTAL]))


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("count", [1, 4])
def test_cohort_figures_name_protocol_methods_and_hu(draw, count: int) -> None:
    drawn = draw(RESULTS[: 2 * count], METHODS, "synthrad2023")
    said = texts(drawn.figure)
    assert "synthrad2023" in drawn.caption
    assert "HU" in said
    assert {"a", "b"} <= set(said.split("\n"))


def test_boxes_are_drawn_at_the_values_and_violins_of_many_alone() -> None:
    panel = draw_scores(RESULTS, METHODS, "synthrad2023").figure.axes[0]
    points = [line for line in panel.lines if line.get_marker() == "o"]
    assert sorted(np.asarray(points[0].get_ydata())) == [30.0, 31.0, 32.0, 33.0]
    assert panel.get_title() == "MAE (HU)"
    assert not panel.collections
    many = [result(f"P{i}", "a", 30.0 + i) for i in range(25)]
    assert draw_scores(many, ("a",), "synthrad2023").figure.axes[0].collections


def test_limits_of_agreement_by_hand() -> None:
    spread = [result("P1", "a", 1.0), result("P2", "a", 1.0), result("P3", "a", 1.0)]
    means = [(10.0, 0.0), (20.0, 0.0), (30.0, 0.0)]
    for one, pair in zip(spread, means, strict=True):
        object.__setattr__(one, "region_means_hu", (pair,) * 4)
    axes = draw_bland_altman(spread, ("a",), "synthrad2023").figure.axes[0]
    levels = {round(float(np.asarray(line.get_ydata())[0]), 2) for line in axes.lines[2:]}
    assert levels == {20.0, 0.4, 39.6}  # 20 +- 1.96 * 10


def test_the_panel_states_windows_sides_ranks_and_scale() -> None:
    shown = [Shown("Best", 12.34, planes()), Shown("Worst", 50.0, planes(with_mr=False))]
    drawn = draw_panel(shown, "a", "synthrad2023", name="patients_1_a")
    said = texts(drawn.figure).split("\n")
    for words in ("W 400 L 40", "W 2000 L 400", "MR", "Best: P1", "MAE 12.3 HU", "no MR", "HU"):
        assert words in said
    assert said.count("R") == said.count("L") == 11  # axial, the missing MR aside
    assert said.count("A") == said.count("P") == 11
    assert "patient's right" in drawn.caption
    limits = {a.images[0].get_clim() for a in drawn.figure.axes if a.images}
    assert {(-160.0, 240.0), (-600.0, 1400.0), (-300.0, 300.0)} <= limits


def test_a_tooth_at_the_patients_left_is_at_the_images_right() -> None:
    one = images()
    view = middle_view(one.mask)
    tooth = one.ct.with_voxels((one.ct.voxels > 1500.0).astype(np.float32), unit="mask")
    column = in_viewing_order(tooth).sum(axis=(1, 2)).argmax()
    assert column > in_viewing_order(one.ct).shape[0] / 2
    assert (view.left, view.right) == ("R", "L")


def test_the_profile_is_that_of_the_marked_row() -> None:
    one = images()
    (plane,) = cut(one, [middle_view(one.mask)])
    drawn = draw_profile(plane, METHODS, "synthrad2023")
    small, axes = drawn.figure.axes[:2]
    view = middle_view(one.mask)
    ct = view.image(in_viewing_order(one.ct))
    level_mm = float(np.asarray(small.lines[0].get_ydata())[0])
    row = int(level_mm / view.size_mm[0] * ct.shape[0])
    assert np.array_equal(np.asarray(axes.lines[0].get_ydata()), ct[row])
    assert not np.array_equal(np.asarray(axes.lines[1].get_ydata()), ct[row])
    assert "from right (R) to left (L) (mm)" in texts(drawn.figure)
    bone = (ct > 250.0) & (view.image(in_viewing_order(one.mask)) > 0)
    assert bone[row].sum() == bone.sum(axis=1).max()


def test_planes_hold_most_of_the_body_and_boxes_all_of_it() -> None:
    one = images()
    mask = one.mask
    viewed = in_viewing_order(mask) > 0
    for axis in (SAGITTAL, AXIAL):
        view = body_views(mask)[axis]
        sums = viewed.sum(axis=tuple(a for a in range(3) if a != axis))
        assert view.image(in_viewing_order(mask)).sum() == sums.max()
        left, right, bottom, top = cut(one, [view])[0].box
        assert 0.0 <= left < right <= view.size_mm[1]
        assert 0.0 <= top < bottom <= view.size_mm[0]
        assert right - left < view.size_mm[1]
