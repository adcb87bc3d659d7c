"""The contact sheet: a row an image, a column a stage, one window for a row."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medcyclegan.evaluation.pictures import MOST_ROWS, Stages, contact_sheet_png


def stages(name: str, *levels: float) -> Stages:
    return Stages(name, tuple(np.full((12, 60), level) for level in levels), (0.0, 100.0))


def sheet(rows: list[Stages], titles: tuple[str, ...]) -> np.ndarray:
    with Image.open(io.BytesIO(contact_sheet_png(rows, titles=titles))) as file:
        return np.asarray(file.convert("L"))


def test_every_stage_is_shown_in_the_window_of_its_row() -> None:
    shown = sheet([stages("a", 20.0, 80.0)], ("before", "clahe"))
    middle = shown[shown.shape[0] // 2]
    quarter = shown.shape[1] // 4
    assert abs(int(middle[quarter]) - 51) <= 1
    assert abs(int(middle[3 * quarter]) - 204) <= 1


def test_rows_are_added_up_to_a_limit() -> None:
    titles = ("before", "edges")
    heights = [
        sheet([stages("a", 0.0, 1.0)] * count, titles).shape[0]
        for count in (1, 2, MOST_ROWS, MOST_ROWS + 3)
    ]
    assert 1.5 < heights[1] / heights[0] < 2.5
    assert heights[2] == heights[3] > 5 * heights[1]
