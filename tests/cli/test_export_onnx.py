"""``medcyclegan export-onnx`` writes one file, says what it is, and refuses by exit code."""

from __future__ import annotations

import json
from pathlib import Path

from medcyclegan.models.store import read_card
from tests.cli.conversion_inputs import Run
from tests.tiny_model import tiny_folder


def test_one_file_is_written_and_told(run: Run, tmp_path: Path) -> None:
    folder, out = tiny_folder(tmp_path / "tiny"), tmp_path / "tiny.onnx"
    code, printed, err = run("export-onnx", folder, "--out", out, "--json")
    assert (code, err) == (0, "")
    told = json.loads(printed)
    assert told["written"] == [str(out)]
    assert told["weights_sha256"] == read_card(folder).weights_sha256
    assert 0.0 <= told["largest_difference"] <= 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny", "tiny.onnx"]
    code, _, err = run("export-onnx", folder, "--out", out)
    assert code == 4
    assert "tiny.onnx" in err


def test_no_model_and_another_ending_are_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("export-onnx", "no-such-model", "--out", tmp_path / "a.onnx")
    assert code == 5
    assert "no-such-model" in err
    code, _, err = run("export-onnx", tiny_folder(tmp_path / "tiny"), "--out", tmp_path / "a.pt")
    assert code == 2
    assert "*.onnx" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]
