"""``train`` on data sets as they are laid out: two steps and a validation of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conversion_inputs import Run
from tests.cli.test_train import SMALL
from tests.training.data.layout_factory import LAYOUTS

STEPS = ("steps=2", "validate_every=1", "data.pairs=by-name", "data.validation_share=0.4")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_steps_and_a_validation(layout: str, run: Run, tmp_path: Path) -> None:
    place, out = LAYOUTS[layout](tmp_path / "set"), tmp_path / "run"
    asked = ("train", "mr_ct", "--data", place, "--out", out, "--device", "cpu")
    code, _, said = run(*asked, *SMALL, *STEPS)
    assert code == 0, said
    assert "step 2 of 2" in said
    told = json.loads((out / "run.json").read_text())
    assert told["data"]["training_pairs"] >= 1
    assert told["data"]["a"]["validation_subjects"] >= 1
    scores = list((out).glob("validation*"))
    assert scores, sorted(path.name for path in out.iterdir())
