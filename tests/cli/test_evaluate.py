"""``medcyclegan evaluate`` as users call it: what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medcyclegan.cli.evaluate import method_of
from tests.cli.conversion_inputs import Run, tree_hash
from tests.evaluation.study.cohort import head_ct, make_cohort, save


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    make_cohort(tmp_path, (1,))
    return tmp_path


def test_what_is_missing_is_said_and_gives_8(run: Run, cohort: Path) -> None:
    save(head_ct(2), cohort / "ct" / "P02_ct.nii.gz")
    before = tree_hash(cohort / "ct")
    arguments = ("evaluate", "--pred", cohort / "good", "--ref", cohort / "ct")
    arguments += ("--protocol", "synthrad2025", "--out", cohort / "out")
    code, out, err = run(*arguments, "--json")
    assert code == 8
    said = json.loads(out)
    assert said["protocol"] == "synthrad2025"
    assert said["unmatched"] == [
        {"case": "P02", "method": "good", "reason": "no prediction of this name"}
    ]
    assert "unmatched: P02 of good" in err
    assert (cohort / "out" / "report.html").is_file()
    row = json.loads((cohort / "out" / "metrics.json").read_text())[0]
    assert row["ssim"] is None
    assert 0.5 < row["ms_ssim"] < 1.0
    assert tree_hash(cohort / "ct") == before
    assert run(*arguments)[0] == 4


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"--pred": "mr", "--ref": "ct"}, 3, "may be an MR"),
        ({"--pred": "ct", "--ref": "good"}, 3, "swap the two"),
        ({"--pred": "none"}, 3, "cannot be read"),
        ({"--mask": "mr/none"}, 3, "cannot be read"),
        ({"--group": "ct"}, 3, "no text"),
        ({"--pred": "a$b=good"}, 2, "letters, digits"),
        ({"--protocol": "synthrad2024"}, 2, "synthrad2023"),
        ({"--out": "ct/out"}, 4, "input"),
        ({"--out": "no/such/out"}, 4, "parent folder"),
    ],
)
def test_refusals_have_their_codes_and_leave_nothing(
    run: Run, cohort: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], code: int,
    words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(cohort)
    before = tree_hash(cohort)
    options = {"--pred": "good", "--ref": "ct", "--out": "out"} | changes
    found, out, err = run("evaluate", *(part for option in options.items() for part in option))
    assert found == code
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert tree_hash(cohort) == before


def test_names_of_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (method_of("a=b/c").name, method_of("a=b/c").path) == ("a", Path("b/c"))
    assert method_of("runs/unet").name == "unet"
    assert method_of("x/head_sct.nii.gz").name == "head_sct"
    Path("lr=1").mkdir()
    assert method_of("lr=1/").path == Path("lr=1")
