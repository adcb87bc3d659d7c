"""``medcyclegan batch``: what it prints, its exit codes, and that the inputs are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medcyclegan.cli.batch import DEFAULTS
from medcyclegan.core.task import Domain, Window
from medcyclegan.models.store import save_model
from medcyclegan.workflow.batch.item import Row, Status
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.run import Order, Outcome, Watcher
from medcyclegan.workflow.batch.workers import Crew
from tests.cli.conversion_inputs import Run, tree_hash
from tests.tiny_model import tiny_card, tiny_folder, tiny_task, tiny_weights
from tests.workflow.batch.trees import small_nifti


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


# What is to do by each task, and by which name; the ending says the model.
OUTPUTS = {
    "mr-ct": {"t1": "t1_sct"},
    "t1-t2": {"t1": "t1_head-t1-t2"},
    "t2-t1": {"t2": "t2_head-t2-t1"},
    "ct-mr": {"ct": "ct_head-ct-mr"},
    "ct-denoise": {"ct": "ct_ct-denoise"},
}


def test_every_task_with_a_model_of_its_own_has_its_names_told() -> None:
    assert OUTPUTS.keys() == {task for task, (name, _) in DEFAULTS.items() if name}


@pytest.mark.parametrize("task", sorted(OUTPUTS))
def test_a_task_takes_its_own_model_and_the_contrast_it_starts_from(
    run: Run, root: Path, task: str
) -> None:
    if "ct" in OUTPUTS[task]:
        for name in ("t1", "t2"):
            (root / "p1" / f"{name}.nii.gz").unlink()
        small_nifti(root / "p1" / "ct.nii.gz")
    asked = ("batch", root, "--out", root.parent / "out", "--task", task, "--dry-run", "--json")
    rows = json.loads(run(*asked)[1])["rows"]
    planned = {row["source"]: row["output"] for row in rows if row["status"] == "waiting"}
    named = OUTPUTS[task].items()
    assert planned == {f"p1/{name}.nii.gz": f"p1/{made}.nii.gz" for name, made in named}


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
    def instead(order: Order, crew: Crew, *, provenance: object, watcher: Watcher) -> Outcome:
        bad = Row(source="p1/t1.nii.gz", status=Status(status), reason="it is\x1b[2J odd")
        watcher.planned(Plan((), (bad,), ("",), {}, "a rule"))
        watcher.ended(bad)
        return Outcome((bad,))

    monkeypatch.setattr("medcyclegan.workflow.batch.run.run_batch", instead)
    arguments = ("batch", root, "--out", root.parent / "out", "--model", model)
    found, out, err = run(*arguments)
    assert found == code
    assert "batch.csv" in out
    assert ("p1/t1.nii.gz: refused" in err) == (status == "refused")
    assert "\x1b" not in out + err
    facts = json.loads(run(*arguments, "--json")[1])
    assert (facts["exit_code"], facts["counts"]) == (code, {status: 1})


def test_what_was_warned_of_is_told_and_counted(
    run: Run, root: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def instead(order: Order, crew: Crew, *, provenance: object, watcher: Watcher) -> Outcome:
        rows = (
            Row(source="a.nii", status=Status.DONE, output="a", warnings=("Codes are 0.", "Odd.")),
            Row(source="b.nii", status=Status.DONE, output="b"),
            Row(source="c.nii", status=Status.REFUSED, reason="a link that leads nowhere"),
            Row(
                source="d.nii", status=Status.DOUBTFUL, output="d", doubts=("No head.", "Dark."),
                warnings=("Shear.", "No head.", "Dark."),
            ),
        )  # fmt: skip
        watcher.planned(Plan((), rows[2:3], ("",), {"links to folders": 2}, "a rule"))
        for row in (*rows[:2], rows[3]):
            watcher.ended(row)
        return Outcome(rows, "a.u.")

    monkeypatch.setattr("medcyclegan.workflow.batch.run.run_batch", instead)
    arguments = ("batch", root, "--out", root.parent / "out", "--model", model)
    _, out, err = run(*arguments)
    assert err.splitlines() == [
        "Warning: c.nii: refused: a link that leads nowhere",
        "Warning: a.nii: Codes are 0.",
        "Warning: a.nii: Odd.",
        "Warning: d.nii: not to be trusted: No head.",
        "Warning: d.nii: Shear.",
        "Warning: d.nii: Dark.",
    ]
    assert "2 done (1 with warnings), 1 doubtful (1 with warnings), 1 refused" in out
    assert "Passed over  2 links to folders" in out
    assert "synthetic CT" not in out
    assert json.loads(run(*arguments, "--json")[1])["with_warnings"] == 2


def test_a_model_of_another_task_names_the_task(run: Run, root: Path, tmp_path: Path) -> None:
    given = ("batch", root, "--out", tmp_path / "out", "--model", "head-ct-mr")
    code, _, err = run(*given)
    assert (code, "give --task ct-mr" in err) == (5, True)
    # A model of one's own is taken for each task of its modalities.
    target = Domain(modality="MR", unit="a.u.", scaling=Window(lower=0.0, upper=1.0))
    save_model(tmp_path / "m", card=tiny_card(tiny_task(target=target)), weights=tiny_weights())
    given = ("batch", root, "--out", tmp_path / "out", "--model", tmp_path / "m", "--dry-run")
    assert run(*given, "--task", "t1-t2")[0] == 0
    code, _, err = run(*given)
    assert (code, "give --task t1-t2 or --task t2-t1" in err) == (5, True)


def test_where_all_is_set_aside_the_dry_run_shows_it_and_the_remedy_is_another(
    run: Run, tmp_path: Path, model: Path
) -> None:
    small_nifti(tmp_path / "in" / "p1" / "brain_mask.nii.gz")
    given = ("batch", tmp_path / "in", "--out", tmp_path / "out", "--model", model)
    code, out, err = run(*given, "--dry-run", "--select", "all")
    assert code == 3
    assert "p1/brain_mask.nii.gz" in out
    assert "--select all" not in err
    assert "1 x its name says mask" in err


def test_off_a_terminal_a_line_tells_how_many_have_ended_and_none_if_it_is_quick(
    run: Run, root: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("batch", root, "--out", root.parent / "out", "--model", model, "--device", "cpu")
    monkeypatch.setattr("medcyclegan.cli.common.SECONDS_BETWEEN_LINES", 0.0)
    code, _, err = run(*asked)
    assert code in (0, 9)
    assert "At work: 100%" in err
    monkeypatch.setattr("medcyclegan.cli.common.SECONDS_BETWEEN_LINES", 1e6)
    _, _, err = run(*asked, "--overwrite")
    assert "At work" not in err
