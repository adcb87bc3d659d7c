"""Batches on a local cluster: exit codes, records, what is done again, and kills."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from medcyclegan.core.task import Domain, Window
from medcyclegan.errors import CannotWrite, DeviceError, ExitCode, InputRefused, UsageError
from medcyclegan.evaluation.study.batch_records import records_of, refuse_no_hu
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.io.dicom.read import is_dicom
from medcyclegan.io.read import read_scan
from medcyclegan.models.store import save_model
from medcyclegan.workflow.batch import run as batch_run
from medcyclegan.workflow.batch.item import Extras, Row, Status
from medcyclegan.workflow.batch.run import Order, Outcome, plan_batch, run_batch
from medcyclegan.workflow.batch.table import counts_said
from medcyclegan.workflow.batch.work import row_of
from medcyclegan.workflow.batch.workers import Crew, connected
from medcyclegan.workflow.request import suffix_of
from medcyclegan.workflow.synthesize import Options
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME, make_series
from tests.tiny_model import known, tiny_card, tiny_folder, tiny_task, tiny_weights
from tests.tiny_tasks import write_input
from tests.workflow.batch.trees import (
    Quiet,
    by_source,
    order,
    provenance,
    small_nifti,
    small_series,
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A local cluster of one worker that all tests of the module share: starting takes seconds."""
    with connected(Crew()) as client:
        yield str(client.scheduler.address)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two patients with files of one name, one as DICOM, one broken, and a mask."""
    small_nifti(tmp_path / "in" / "p1" / "t1.nii.gz")
    small_nifti(tmp_path / "in" / "p2" / "t1.nii.gz", shift=50.0)
    small_nifti(tmp_path / "in" / "p2" / "t1_mask.nii.gz")
    small_series(tmp_path / "in" / "p3" / "SE1")
    (tmp_path / "in" / "p4").mkdir()
    (tmp_path / "in" / "p4" / "t1.nii.gz").write_bytes(b"no image")
    return tmp_path / "in"


def go(todo: Order, address: str) -> tuple[Outcome, list[Row]]:
    """Run a batch; returns its outcome and the rows of what was worked on."""
    watcher = Quiet()
    return run_batch(
        todo, Crew(scheduler=address), provenance=provenance(), watcher=watcher
    ), watcher.rows


def test_all_good_ones_are_done_and_the_bad_one_has_its_reason(
    root: Path, model: Path, tmp_path: Path, address: str
) -> None:
    out = tmp_path / "out"
    outcome, _ = go(order(root, out, model), address)
    rows = by_source(outcome.rows)
    assert {source: row.status.value for source, row in rows.items()} == {
        "p1/t1.nii.gz": "done", "p2/t1.nii.gz": "done", "p2/t1_mask.nii.gz": "set-aside",
        "p3/SE1": "done", "p4/t1.nii.gz": "refused",
    }  # fmt: skip
    assert outcome.exit_code is ExitCode.SOME_REFUSED
    assert "not a NIfTI file" in rows["p4/t1.nii.gz"].reason
    for source in ("p1/t1.nii.gz", "p2/t1.nii.gz"):
        made = read_scan(out / rows[source].output)
        assert made.volume.geometry.same_grid(read_scan(root / source).volume.geometry)
    assert read_scan(out / "p3" / "SE1_sct").modality == "CT"
    assert all(is_dicom(path) for path in (out / "p3" / "SE1_sct").iterdir())
    assert not list(out.rglob("*.tmp"))


def test_a_patient_that_the_model_does_not_know_is_set_apart_and_stays_so(
    tmp_path: Path, address: str
) -> None:
    small_nifti(tmp_path / "in" / "p1" / "t1.nii.gz")
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(body_litres=(3.0, 5.0)))
    out = tmp_path / "out"
    for worked_on in (1, 0):  # run again, nothing is done, and it is doubtful still
        outcome, rows = go(order(tmp_path / "in", out, model), address)
        assert len(rows) == worked_on
        (row,) = outcome.rows
        assert row.status.value == "doubtful"
        assert outcome.exit_code is ExitCode.OUT_OF_DISTRIBUTION
        assert (out / row.output).is_file()
    assert "The body in view" in row.doubts[0]
    assert row.qa["body_litres"] == pytest.approx(0.9, abs=0.1)
    table = (out / "batch.csv").read_text(encoding="utf-8").splitlines()
    assert next(csv.DictReader(table))["doubts"] == row.doubts[0]
    assert json.loads((out / "batch.json").read_text())["counts"] == {"doubtful": 1}
    # A refused input counts for more.
    (tmp_path / "in" / "p2").mkdir()
    (tmp_path / "in" / "p2" / "t1.nii.gz").write_bytes(b"no image")
    assert go(order(tmp_path / "in", out, model), address)[0].exit_code is ExitCode.SOME_REFUSED


def test_the_record_has_a_row_an_input_and_no_patient(
    model: Path, tmp_path: Path, address: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p1" / "t1.nii.gz")
    for path in make_series(root / "p2", shape=(8, 8, 12))[5:6]:  # with a name and an ID
        path.unlink()  # a gap
    outcome, _ = go(order(root, out, model, report=True), address)
    facts = json.loads((out / "batch.json").read_text())
    assert facts["finished"] is True
    assert facts["counts"] == {"done": 1, "refused": 1}
    done = facts["rows"][0]
    digest = hashlib.sha256((root / "p1" / "t1.nii.gz").read_bytes()).hexdigest()
    assert done["input_sha256"] == digest
    assert done["model_sha256"] == json.loads((model / "card.json").read_text())["weights_sha256"]
    assert done["qa"]["body_ml"] == pytest.approx(905, rel=0.1)  # a ball of radius 60 mm
    assert done["seconds"] > 0
    assert (out / done["report"]).read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    with (out / "batch.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["source"] for row in table] == [row.source for row in outcome.rows]
    assert float(table[0]["body_ml"]) == done["qa"]["body_ml"]
    written = [path for path in out.rglob("*.*") if path.suffix in (".json", ".csv")]
    for path in written:
        text = path.read_text()
        assert PATIENT_NAME not in text
        assert PATIENT_ID not in text
        assert str(tmp_path) not in text


def test_again_does_only_what_is_missing_or_stale(
    root: Path, model: Path, tmp_path: Path, address: str
) -> None:
    out = tmp_path / "out"
    todo = order(root, out, model)

    def worked_on(again: Order = todo) -> set[str]:
        return {row.source for row in go(again, address)[1]}

    everything = worked_on()
    assert everything == {"p1/t1.nii.gz", "p2/t1.nii.gz", "p3/SE1", "p4/t1.nii.gz"}
    bad = {"p4/t1.nii.gz"}
    assert worked_on() == bad
    outcome, _ = go(todo, address)
    assert by_source(outcome.rows)["p1/t1.nii.gz"].status == "skipped-up-to-date"
    assert outcome.exit_code is ExitCode.SOME_REFUSED
    small_nifti(tmp_path / "new" / "t1.nii.gz", shift=99.0).replace(root / "p1" / "t1.nii.gz")
    assert worked_on() == bad | {"p1/t1.nii.gz"}
    (out / "p2" / "t1_sct.nii.gz").unlink()
    assert worked_on() == bad | {"p2/t1.nii.gz"}
    assert worked_on(replace(todo, options=Options(device="cpu", views=3))) == everything
    other = tiny_folder(tmp_path / "other", seed=1)
    assert worked_on(replace(todo, model=str(other))) == everything
    assert worked_on(replace(todo, model=str(other), overwrite=True)) == everything


def test_a_foreign_file_is_not_replaced_and_our_own_leftover_is(
    root: Path, model: Path, tmp_path: Path, address: str
) -> None:
    out = tmp_path / "out"
    (out / "p1").mkdir(parents=True)
    (out / "p1" / "t1_sct.nii.gz").write_bytes(b"precious")
    outcome, _ = go(order(root, out, model), address)
    row = by_source(outcome.rows)["p1/t1.nii.gz"]
    assert (row.status, "--overwrite" in row.reason) == ("failed", True)
    assert (out / "p1" / "t1_sct.nii.gz").read_bytes() == b"precious"
    # Killed between output and record: the mark says that it is ours.
    plan, settings = plan_batch(order(root, out, model), provenance=provenance())
    item = next(item for item in plan.items if item.source.parts[0] == "p1")
    (settings.state / "started" / f"{item.key}.json").write_text("{")
    outcome, _ = go(order(root, out, model), address)
    assert by_source(outcome.rows)["p1/t1.nii.gz"].status == "done"


def test_outputs_that_would_share_a_name_are_told_apart(
    model: Path, tmp_path: Path, address: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "a.nii.gz")
    small_nifti(root / "A.nii")
    small_series(root / "a")
    plan, _ = plan_batch(order(root, out, model, format="nifti"), provenance=provenance())
    names = [item.output.name.casefold() for item in plan.items]
    assert len(set(names)) == 3
    outcome, _ = go(order(root, out, model, format="nifti"), address)
    assert {row.status.value for row in outcome.rows} == {"done"}
    assert outcome.exit_code is ExitCode.DONE


def test_a_second_run_on_the_folder_is_refused(root: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".medcyclegan").mkdir(parents=True)
    with (
        FileLock(out / ".medcyclegan" / "lock"),
        pytest.raises(CannotWrite, match="another batch"),
    ):
        run_batch(order(root, out, model), Crew(), provenance=provenance(), watcher=Quiet())


def test_refusals_before_any_work(root: Path, model: Path, tmp_path: Path) -> None:
    for out in (root, tmp_path):
        with pytest.raises(CannotWrite, match="folder of the inputs"):
            run_batch(order(root, out, model), Crew(), provenance=provenance(), watcher=Quiet())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="holds no MR"):
        plan_batch(order(tmp_path / "empty", tmp_path / "o", model), provenance=provenance())
    small_nifti(tmp_path / "aside" / "t1_mask.nii.gz")
    with pytest.raises(InputRefused, match=r"all set aside \(1 x its name says mask") as refused:
        run_batch(
            order(tmp_path / "aside", tmp_path / "o", model),
            Crew(),
            provenance=provenance(),
            watcher=Quiet(),
        )
    assert "--select description~" in refused.value.remedy
    assert plan_batch(order(tmp_path / "aside", tmp_path / "o", model), provenance=provenance())[
        0
    ].rows
    with pytest.raises(UsageError):
        Crew(workers=2, scheduler="tcp://127.0.0.1:1")
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        run_batch(
            order(root, tmp_path / "file", model), Crew(), provenance=provenance(), watcher=Quiet()
        )


def test_none_could_be_done_is_code_3(model: Path, tmp_path: Path, address: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.nii.gz").write_bytes(b"no image")
    outcome, _ = go(order(tmp_path / "in", tmp_path / "out", model), address)
    assert outcome.exit_code is ExitCode.INPUT_REFUSED


def test_none_could_be_written_is_code_4(model: Path, tmp_path: Path, address: str) -> None:
    """One that is there is not replaced: nothing is wrong with the inputs."""
    root, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b"):
        small_nifti(root / name / "t1.nii.gz")
        small_nifti(out / name / "t1_sct.nii.gz")
    outcome, _ = go(order(root, out, model), address)
    assert {(row.status.value, row.code) for row in outcome.rows} == {("failed", 4)}
    assert outcome.exit_code is ExitCode.CANNOT_WRITE
    with (out / "batch.csv").open() as file:
        assert [row["code"] for row in csv.DictReader(file)] == ["4", "4"]


_FULL = OSError(errno.ENOSPC, "No space left on device")
_BAD, _FINE = InputRefused("bad"), None


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((_FULL, CannotWrite("x"), _FULL), 4),
        ((MemoryError(), DeviceError("no memory")), 6),
        ((KeyError("of ours"),), 1),
        ((_FULL, _BAD), 3),
        ((_BAD, _BAD), 3),
        ((OSError(errno.EIO, "Input/output error"), _FULL), 3),
        ((_FULL, _FINE), 8),
        ((_FINE,), 0),
    ],
)
def test_the_exit_code_says_what_stopped_all(
    model: Path, tmp_path: Path, errors: tuple[Exception | None, ...], code: int
) -> None:
    small_nifti(tmp_path / "in" / "t1.nii.gz")
    plan, settings = plan_batch(order(tmp_path / "in", tmp_path / "o", model),
                                provenance=provenance())  # fmt: skip
    (item,) = plan.items
    rows = [item.row(Status.DONE) if e is None else row_of(e, item, settings) for e in errors]
    assert Outcome(tuple(rows)).exit_code == code


def test_the_lock_is_freed_by_death(tmp_path: Path) -> None:
    """What holds the lock is a living process, not a file that is left."""
    (tmp_path / ".medcyclegan").mkdir()
    code = (
        "import os, sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1], timeout=0): os._exit(9)"
    )
    lock = str(tmp_path / ".medcyclegan" / "lock")
    done = subprocess.run([sys.executable, "-c", code, lock], check=False)
    assert done.returncode == 9
    assert Path(lock).exists()
    with batch_run._held(tmp_path):
        pass


def test_what_was_warned_of_is_in_row_record_and_counts(
    model: Path, tmp_path: Path, address: str
) -> None:
    """A warning of a reader, and the control of an input without one."""
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p1" / "t1.nii.gz")
    odd = small_nifti(root / "p2" / "t1.nii.gz", shift=50.0)
    odd.write_bytes(without_codes(odd))
    todo = order(root, out, model, report=True)
    for status in ("done", "skipped-up-to-date"):
        outcome, _ = go(todo, address)
        rows = by_source(outcome.rows)
        assert {row.status.value for row in outcome.rows} == {status}
        assert rows["p1/t1.nii.gz"].warnings == ()
        (warning,) = rows["p2/t1.nii.gz"].warnings
        assert "code" in warning
        assert counts_said(outcome.rows) == f"2 {status} (1 with warnings)"
    record = json.loads((out / "batch.json").read_text())
    assert (record["with_warnings"], record["unit"]) == (1, "HU")
    assert record["rows"][1]["warnings"] == [warning]
    assert warning in (out / "batch.csv").read_text()
    page = (out / rows["p2/t1.nii.gz"].report).read_text(encoding="utf-8")
    assert "1 warning" in page


def without_codes(path: Path) -> bytes:
    """The file with both codes of its forms 0 (bytes 252 to 255 of the header)."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = bytes(4)
    return gzip.compress(bytes(content))


def test_names_that_are_no_text_are_done_and_escaped_in_the_record(
    model: Path, tmp_path: Path, address: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    name = os.fsdecode(b"M\xf6ller_t1")
    small_nifti(root / "plain.nii.gz").rename(root / f"{name}.nii.gz")
    small_series(root / os.fsdecode(b"p\xf6") / "SE1")
    (root / os.fsdecode(b"bad\xf6.nii.gz")).write_bytes(b"no image")
    (root / os.fsdecode(b"gone\xf6.nii.gz")).symlink_to("nowhere")
    small_nifti(root / "M\\xf6ller_t1.nii.gz", shift=9.0)  # the escaped name, as a file's own
    todo = order(root, out, model, report=True)
    outcome, worked_on = go(todo, address)
    assert len(worked_on) == 4
    statuses = {row.source: row.status.value for row in outcome.rows}
    assert statuses["p\\xf6/SE1"] == "done"
    assert statuses["bad\\xf6.nii.gz"] == statuses["gone\\xf6.nii.gz"] == "refused"
    outputs = [row.output for row in outcome.rows if row.status == "done"]
    assert len(set(outputs)) == len(outputs) == 3
    json.loads((out / "batch.json").read_text(encoding="utf-8"))
    (out / "batch.csv").read_text(encoding="utf-8")
    outcome, worked_on = go(todo, address)
    assert [row.source for row in worked_on] == ["bad\\xf6.nii.gz"]
    assert outcome.exit_code is ExitCode.SOME_REFUSED


def test_outputs_are_named_as_translate_names_them(tmp_path: Path, address: str) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "p1_t1.nii.gz")
    target = Domain(modality="MR", unit="a.u.", scaling=Window(lower=0.0, upper=1.0))
    task = tiny_task(target=target)
    save_model(tmp_path / "t1-t2", card=tiny_card(task), weights=tiny_weights())
    outcome, _ = go(order(root, out, tmp_path / "t1-t2"), address)
    (row,) = outcome.rows
    suffix = suffix_of(tiny_card(task))
    assert suffix != "_sct"
    assert (row.status.value, row.output) == ("done", f"p1_t1{suffix}.nii.gz")
    assert outcome.unit == "a.u."
    request = StudyRequest((Method("m", out),), root, tmp_path / "study", "synthrad2023", kind="ct")
    with pytest.raises(InputRefused, match=r"in a\.u\."):
        refuse_no_hu(request, records_of(request))


@pytest.mark.parametrize("modality", ["XR", "image"])
def test_a_model_of_pictures_takes_pictures_and_refuses_what_is_for_volumes(
    tmp_path: Path, modality: str
) -> None:
    write_input(_made(tmp_path / "in") / "a.png", "image")
    domain = Domain(modality=modality, unit="a.u.", scaling=Window(lower=0.0, upper=255.0))
    task = tiny_task(source=domain, target=domain)
    save_model(tmp_path / "m", card=tiny_card(task), weights=tiny_weights())
    todo = order(tmp_path / "in", tmp_path / "out", tmp_path / "m")
    plan, _ = plan_batch(todo, provenance=provenance())
    assert [item.source.name for item in plan.items] == ["a.png"]
    assert plan.items[0].is_plane
    for extras in (Extras(untilt=True), Extras(uncertainty=True), Extras(masks=tmp_path)):
        with pytest.raises(UsageError, match="with the model tiny"):
            plan_batch(replace(todo, extras=extras), provenance=provenance())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_an_output_whose_record_could_not_be_written_is_done_again(
    model: Path, tmp_path: Path, address: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    small_nifti(root / "t1.nii.gz")
    todo = order(root, out, model)
    _, settings = plan_batch(todo, provenance=provenance())
    (item,) = plan_batch(todo, provenance=provenance())[0].items
    blocked = settings.state / "records" / f"{item.key}.json"
    blocked.mkdir(parents=True)  # a folder where the record should go
    (row,) = go(todo, address)[0].rows
    assert (row.status.value, (out / row.output).is_file()) == ("failed", True)
    blocked.rmdir()
    assert go(todo, address)[0].rows[0].status.value == "done"
