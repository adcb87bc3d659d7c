"""An input that is out-of-distribution: what is said, the exit code, the map of uncertainty."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.evaluation.metrics import BONE_ABOVE_HU
from medcyclegan.imaging.plausibility import BONE_HU
from medcyclegan.io.read import read_scan
from tests.cli.conversion_inputs import Run, write_mr
from tests.tiny_model import known, tiny_folder

# The head of the tests is a ball of 0.9 litres.
FITS, ODD = {"body_litres": (0.5, 1.5)}, {"body_litres": (3.0, 5.0)}


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return write_mr(tmp_path / "head.nii.gz")


@pytest.mark.parametrize("command", [("synth-ct", "--mri"), ("translate", "--input")])
def test_an_input_that_the_model_does_not_know_ends_with_9_and_an_output(
    run: Run, head: Path, tmp_path: Path, command: tuple[str, str]
) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(**ODD))
    made = tmp_path / "made.nii.gz"
    code, out, err = run(*command, head, "--model", model, "--device", "cpu", "--out", made)
    assert code == 9
    assert made.is_file()
    assert "The body in view has 0.9" in err
    assert "the model's reference range is 3 to 5" in err
    assert "do not trust the result" in err
    assert "Way back      not measured: the card names no reverse model" in out


def test_an_input_that_it_knows_ends_with_0_and_says_so(
    run: Run, head: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(**FITS))
    code, out, err = run("synth-ct", "--mri", head, "--model", model, "--device", "cpu")
    assert (code, err) == (0, "")
    assert "checked, all within the model's reference ranges" in out


def test_json_has_the_features_and_those_outside(run: Run, head: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(**ODD))
    code, out, _ = run("synth-ct", "--mri", head, "--model", model, "--device", "cpu", "--json")
    facts = json.loads(out)
    assert code == 9
    assert len(facts["doubts"]) == 1
    assert facts["doubts"][0] in facts["warnings"]
    assert facts["signs"]["body_litres"] == pytest.approx(0.9, abs=0.05)
    assert "view_disagreement_hu" in facts["signs"]
    assert facts["signs_note"] == ""


def test_a_card_without_ranges_says_why_no_features_were_measured(
    run: Run, head: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny")
    given = ("synth-ct", "--mri", head, "--model", model, "--device", "cpu")
    code, out, _ = run(*given, "--json")
    facts = json.loads(out)
    assert (code, facts["signs"]) == (0, None)
    assert "has no reference ranges" in facts["signs_note"]
    _, out, _ = run(*given, "--overwrite")
    assert "Features      not measured: the card of" in out


def test_a_reverse_model_that_is_not_there_is_told_and_breaks_nothing(
    run: Run, head: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(**FITS), reverse="head-of-nobody")
    code, out, err = run("synth-ct", "--mri", head, "--model", model, "--device", "cpu")
    assert (code, err) == (0, "")
    assert "Way back      not measured: no reverse model (No model head-of-nobody)" in out


def test_the_map_is_written_beside_and_the_image_is_the_same(
    run: Run, head: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny")
    made = [tmp_path / f"{name}.nii.gz" for name in ("plain", "mapped")]
    common = ("synth-ct", "--mri", head, "--model", model, "--device", "cpu")
    assert run(*common, "--out", made[0])[0] == 0
    code, out, err = run(*common, "--out", made[1], "--uncertainty")
    assert code == 0
    beside = tmp_path / "mapped_uncertainty.nii.gz"
    assert f"Uncertainty   {beside}" in out
    assert "no calibration" in err
    plain, mapped, uncertainty = (read_scan(path).volume for path in (*made, beside))
    assert np.array_equal(plain.voxels, mapped.voxels)
    assert uncertainty.geometry.same_grid(mapped.geometry)
    assert uncertainty.voxels.min() >= 0.0
    assert uncertainty.voxels.max() > 0.0
    assert run(*common, "--out", tmp_path / "mapped.nii.gz", "--uncertainty")[0] == 4


@pytest.mark.parametrize("ranges", [FITS, ODD])
def test_the_report_has_the_features_the_verdict_and_the_time_of_the_console(
    run: Run, head: Path, tmp_path: Path, ranges: dict[str, tuple[float, float]]
) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(**ranges))
    made = tmp_path / "made.nii.gz"
    code, out, err = run(
        "synth-ct", "--mri", head, "--model", model, "--device", "cpu", "--out", made, "--report"
    )
    page = (tmp_path / "made_report.html").read_text(encoding="utf-8")
    verdict = re.search(r'<p class="verdict(.*?)">(.*?)</p>', page, re.DOTALL)
    assert verdict is not None
    if ranges is ODD:
        assert (code, verdict[1]) == (9, " outside")
        assert "do not trust the result" in err
        assert "do not trust the result" in verdict[2]
    else:
        assert (code, verdict[1]) == (0, "")
        said = re.search(r"\d+ checked, all within the model's reference ranges", out)
        assert said is not None
        assert said[0] in html.unescape(verdict[2])
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", page)
    known_text = "0.5 to 1.5" if ranges is FITS else "3 to 5"
    assert ("Body in view, litres", "0.9", known_text) in rows
    assert len(rows) >= 10
    time_s = re.search(
        r"^Time +([\d.]+) s, and ([\d.]+) s for the start and the report$", out, re.M
    )
    assert time_s is not None
    assert f"<td>{time_s[1]} s</td>" in page


def test_a_report_without_signs_has_no_verdict(run: Run, head: Path, tmp_path: Path) -> None:
    """The control: the card of this model has no reference ranges."""
    model = tiny_folder(tmp_path / "tiny")
    made = tmp_path / "made.nii.gz"
    run("synth-ct", "--mri", head, "--model", model, "--device", "cpu", "--out", made, "--report")
    page = (tmp_path / "made_report.html").read_text(encoding="utf-8")
    assert 'class="verdict' not in page
    assert "Reference range" not in page


def test_the_report_shows_the_map_of_uncertainty(run: Run, head: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny")
    made = tmp_path / "made.nii.gz"
    given = ("synth-ct", "--mri", head, "--model", model, "--device", "cpu", "--out", made)
    run(*given, "--report")
    plain = (tmp_path / "made_report.html").read_text(encoding="utf-8")
    run(*given, "--report", "--uncertainty", "--overwrite")
    page = (tmp_path / "made_report.html").read_text(encoding="utf-8")
    assert "Spread inside the body" in page  # this card has no calibration
    assert "Spread inside the body" not in plain
    uncertainty = read_scan(tmp_path / "made_uncertainty.nii.gz").volume.voxels
    mean = float(re.search(r"Mean</th><td>([\d.]+) HU", page)[1])
    assert 0.0 < mean < uncertainty.max()
    assert '"Spread"' in page  # among the viewer's images


def test_bone_is_one_thing() -> None:
    assert BONE_ABOVE_HU == BONE_HU == 250.0
