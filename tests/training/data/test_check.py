"""The summary and the picture that are looked at before a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from medcyclegan.errors import CannotWrite
from medcyclegan.training.data.check import as_picture, draw_batch, summary_table
from medcyclegan.training.data.open import open_data
from tests.training.data.data_factory import config, heads


def test_table_and_picture(tmp_path: Path) -> None:
    data = open_data(config(validation_share=0.4), heads(tmp_path), seed=0)
    console = Console(width=100, record=True, file=(tmp_path / "log").open("w"))
    console.print(summary_table(data.summary))
    console.file.close()
    text = console.export_text()
    wanted = ("3 NIfTI", "2 of 2 subjects", "1 of 1 subjects", "30 x 34 x 24", "-1000 to", "HU")
    for part in wanted:
        assert part in text
    draw_batch(data.train, to=tmp_path / "batch.png", count=3)
    with Image.open(tmp_path / "batch.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 20
    with pytest.raises(CannotWrite, match="exists"):
        draw_batch(data.train, to=tmp_path / "batch.png", count=3)


def test_front_is_up_and_the_right_is_on_the_left() -> None:
    plane = torch.zeros(4, 6)  # H to the right, W to the front
    plane[3, 5] = 1.0  # right and front
    assert as_picture(plane).shape == (6, 4)
    assert as_picture(plane)[0, 0] == 1.0
