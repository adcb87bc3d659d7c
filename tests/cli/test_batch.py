"""``medcyclegan batch``: what it prints, its exit codes, and that the inputs are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medcyclegan.batch.cluster import Crew
from medcyclegan.batch.item import Row, Status
from medcyclegan.batch.plan import Plan
from medcyclegan.batch.run import Order, Outcome, Watcher
from tests.batch.trees import small_nifti
from tests.cli.conversion_inputs import Run, runner, tree_hash
from tests.tiny_model import tiny_folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    small_nifti(tmp_path / "in" / "p1" / "t1.nii.gz")
    small_nifti(tmp_path / "in" / "p1" / "t2.nii.gz")
    small_nifti(tmp_path / "in" / "p1" / "brain_mask.nii.gz")
    return tmp_path / "in"


def test_a_dry_run_says_what_and_why_and_writes_nothing(run: Run, root: Path, model: Path) -> None:
    before = tree_hash(root.parent)
    arguments = ("batch", root, "--out", root.parent / "out", "--model", model, "--dry-run")
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert tree_hash(root.parent) == before
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("p1/")}
    assert "to do" in lines["p1/t1.nii.gz"]
    assert "p1/t1_sct.nii.gz" in lines["p1/t1.nii.gz"]
    assert "the T1w of this visit is preferred" in lines["p1/t2.nii.gz"]
    assert "mask" in lines["p1/brain_mask.nii.gz"]
    assert "one image a visit" in out
    facts = json.loads(run(*arguments, "--json", "--select", "all")[1])
    assert facts["counts"] == {"waiting": 2, "set-aside": 1}


@pytest.mark.parametrize(("task", "taken"), [("t1-t2", "t1"), ("t2-t1", "t2"), ("mr-ct", "t1")])
def test_a_task_takes_its_own_model_and_the_contrast_it_starts_from(
    run: Run, root: Path, task: str, taken: str
) -> None:
    out = run("batch", root, "--out", root.parent / "out", "--task", task, "--dry-run")[1]
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("p1/")}
    other = "t2" if taken == "t1" else "t1"
    assert "to do" in lines[f"p1/{taken}.nii.gz"]
    assert "to do" not in lines[f"p1/{other}.nii.gz"]


def test_exit_codes_without_work(run: Run, root: Path, model: Path, tmp_path: Path) -> None:
    given = ("--out", tmp_path / "out", "--model", model)
    assert run("batch", tmp_path / "none", *given)[0] == 3
    assert run("batch", root, *given, "--select", "best")[0] == 2
    assert run("batch", root, "--out", root, "--model", model)[0] == 4
    assert run("batch", root, "--out", tmp_path / "o", "--model", "no-model")[0] == 5
    code, _, err = run("batch", root, *given, "--workers", "2", "--scheduler", "tcp://x:1")
    assert (code, "--scheduler" in err) == (2, True)


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("refused", 3)])
def test_it_tells_of_each_input_and_ends_with_the_outcome(
    run: Run, root: Path, model: Path, monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    def instead(order: Order, crew: Crew, *, maker: object, watcher: Watcher) -> Outcome:
        bad = Row(source="p1/t1.nii.gz", status=Status(status), reason="it is\x1b[2J odd")
        watcher.planned(Plan((), (bad,), ("",), {}, "a rule"))
        watcher.ended(bad)
        return Outcome((bad,))

    monkeypatch.setattr("medcyclegan.batch.run.run_batch", instead)
    arguments = ("batch", root, "--out", root.parent / "out", "--model", model)
    found, out, err = run(*arguments)
    assert found == code
    assert "batch.csv" in out
    assert ("p1/t1.nii.gz: refused" in err) == (status == "refused")
    assert "\x1b" not in out + err
    facts = json.loads(run(*arguments, "--json")[1])
    assert (facts["exit_code"], facts["counts"]) == (code, {status: 1})
