"""A run that was killed and resumed is an uninterrupted run, to the last bit."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.training import checkpoint
from medcyclegan.training.checkpoint import BEST, LAST, PREVIOUS, TrainState, read_checkpoint
from medcyclegan.training.data.types import Sample, TrainingData
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run_folder import RunFolder
from tests.training.tiny_training import (
    Calling,
    Shapes,
    differing,
    fresh,
    run_tiny,
    tiny_config,
    tiny_data,
    tiny_job,
)

ROOT = Path(__file__).parents[2]
KINDS = ("contrastive", "cyclegan", "supervised")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums over several threads may be rounded in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def left_alone(folder: Path, engine: str) -> tuple[TrainState, RunFolder]:
    """The run that was left alone."""
    torch.set_num_threads(1)
    job = tiny_job(folder, tiny_config(engine=engine))
    return run_tiny(job), job.folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainState, RunFolder]:
    """That of a CycleGAN."""
    return left_alone(tmp_path_factory.mktemp("whole"), "cyclegan")


def stopped_at(folder: Path, step: int, engine: str = "cyclegan") -> None:
    """Train up to a step and end with an error, so that nothing is saved at that step."""

    class Enough(Exception):
        pass

    def enough(done: int) -> None:
        if done == step:
            raise Enough

    from medcyclegan.training.loop import train
    from medcyclegan.training.run_folder import start_run

    job = tiny_job(folder, tiny_config(engine=engine))
    start_run(job.folder, job.config, {})
    with pytest.raises(Enough):
        train(job, resume=False, watcher=Calling(enough))


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file but for the seconds."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("engine", KINDS)
def test_a_killed_run_ends_as_the_one_that_was_left_alone(engine: str, tmp_path: Path) -> None:
    whole, folder = left_alone(tmp_path / "whole", engine), tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed_child", folder, engine, "4", "saving", "5"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state = run_tiny(tiny_job(folder, tiny_config(engine=engine)), resume=True)
    assert state.step == whole[0].step == 6
    assert differing(whole[0], state) == []
    assert state.best == whole[0].best
    for ours, theirs in (
        (RunFolder(folder).metrics, whole[1].metrics),
        (RunFolder(folder).validation, whole[1].validation),
    ):
        assert rows(ours) == rows(theirs)
    assert [row["step"] for row in rows(whole[1].metrics)] == ["2", "4", "6"]


def without(part: str) -> Any:
    """A ``restore`` that leaves a part of the engine's state as it was drawn."""

    def forgetful(state: TrainState, content: dict[str, Any], **given: Any) -> None:
        as_drawn = state.engine.state_dict()[part]
        engine = {**content["engine"], part: as_drawn}
        checkpoint.restore(state, {**content, "engine": engine}, **given)

    return forgetful


def forget_pools(state: TrainState, content: dict[str, Any], **given: Any) -> None:
    before = state.engine.process_state()
    members = [{**member, "engine": before} for member in content["members"]]
    checkpoint.restore(state, {**content, "members": members}, **given)


def forget_steps(state: TrainState, content: dict[str, Any], **given: Any) -> None:
    checkpoint.restore(state, {**content, "step": 0, "items": 0}, **given)


@pytest.mark.parametrize("engine", KINDS)
@pytest.mark.parametrize(
    "forget", [without("networks"), without("optimisers"), without("averages"), forget_steps,
               forget_pools],
    ids=["networks", "optimisers", "averages", "steps", "pools"],
)  # fmt: skip
def test_a_resume_that_forgets_something_is_seen(
    forget: Any, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if forget is forget_pools and engine == "supervised":
        return  # its processes have nothing of their own
    whole = left_alone(tmp_path / "whole", engine)
    stopped_at(tmp_path / "run", 4, engine)
    monkeypatch.setattr("medcyclegan.training.loop.restore", forget)
    state = run_tiny(tiny_job(tmp_path / "run", tiny_config(engine=engine)), resume=True)
    assert len(differing(whole[0], state)) > 3


def test_random_numbers_of_the_whole_process_go_on_too(tmp_path: Path) -> None:
    import random

    import numpy as np

    stopped_at(tmp_path / "run", 4)
    content = read_checkpoint(tmp_path / "run" / "checkpoints" / LAST)
    drawn = []
    for _ in range(2):
        checkpoint.restore(fresh(tiny_config()), content, crew=Crew())
        drawn.append((float(torch.rand(())), random.random(), float(np.random.rand())))
    drawn.append((float(torch.rand(())), random.random(), float(np.random.rand())))
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[1], drawn[2], strict=True))


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def damage_one_byte(path: Path) -> None:
    networks = torch.load(path, weights_only=True)["engine"]["networks"]
    weights = networks["a-to-b"]["stem.weight"]
    content = bytearray(path.read_bytes())
    content[content.index(bytes(weights.untyped_storage().tolist()))] ^= 0x40
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # torch itself does not see it


def damage_all(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_end, damage_one_byte, damage_all])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(
    damage: Any, whole: tuple[TrainState, RunFolder], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    run_tiny(tiny_job(folder))
    damage(folder / "checkpoints" / LAST)
    state = run_tiny(tiny_job(folder), resume=True)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "last.pt cannot be read" in warning
    assert "previous.pt" in warning
    assert differing(whole[0], state) == []
    assert rows(RunFolder(folder).metrics) == rows(whole[1].metrics)
    for name in (LAST, PREVIOUS):  # the damaged one was not kept in place of the good one
        read_checkpoint(folder / "checkpoints" / name)

    damage(folder / "checkpoints" / LAST)
    damage(folder / "checkpoints" / PREVIOUS)
    with pytest.raises(InputRefused, match=r"previous\.pt cannot be read"):
        run_tiny(tiny_job(folder), resume=True)


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no checkpoint"):
        run_tiny(tiny_job(tmp_path), resume=True)


class Noted(Shapes):
    """Shapes as MONAI's tensors, which carry notes and would be pickled with them."""

    def __getitem__(self, index: int) -> Sample:
        plain = super().__getitem__(index)
        return plain._replace(a=MetaTensor(plain.a), b=MetaTensor(plain.b))


def test_tensors_of_monai_do_not_get_into_a_checkpoint(
    whole: tuple[TrainState, RunFolder], tmp_path: Path
) -> None:
    plain = tiny_data()
    data = TrainingData(Noted(pair_every=4), plain.validation, plain.summary)
    state = run_tiny(tiny_job(tmp_path, data=data))
    assert differing(whole[0], state) == []
    assert read_checkpoint(tmp_path / "checkpoints" / LAST)["step"] == 6


class Spell:
    """What an attacker would put into a pickle."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("code ran",))


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"step": Spell()}, tmp_path / LAST)
    with pytest.raises(InputRefused, match="cannot be read"):
        read_checkpoint(tmp_path / LAST)
    assert capsys.readouterr().out == ""
    torch.load(tmp_path / LAST, weights_only=False)  # the control: this way it would have run
    assert capsys.readouterr().out == "code ran\n"


def test_checkpoints_are_whole_and_leave_nothing_else(
    whole: tuple[TrainState, RunFolder],
) -> None:
    folder = whole[1].checkpoints
    assert {path.name for path in folder.iterdir()} == {LAST, PREVIOUS, BEST}
    assert [read_checkpoint(folder / name)["step"] for name in (LAST, PREVIOUS)] == [6, 3]
