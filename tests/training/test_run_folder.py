"""The folder of a run: what is in it, what is refused, rows taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.run_folder import (
    MAY_CHANGE,
    RunFolder,
    append_row,
    drop_rows_after,
    read_run,
    refuse_other_settings,
    refuse_unwritable_run,
    start_run,
)
from medcyclegan.training.settings import read_settings
from tests.training.tiny_training import tiny_config


def test_settings_survive_and_a_run_is_not_replaced(tmp_path: Path) -> None:
    folder, config = RunFolder(tmp_path / "deep" / "run"), tiny_config()
    start_run(folder, config, {"machine": "any"})
    assert read_run(folder) == (config, {"machine": "any"})
    with pytest.raises(CannotWrite, match="a run is not replaced; go on with it by --resume"):
        start_run(folder, config, {})


def test_a_folder_that_cannot_be_made_is_found_before_data_are_read(tmp_path: Path) -> None:
    refuse_unwritable_run(RunFolder(tmp_path / "deep" / "run"))
    refuse_unwritable_run(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="Cannot write"):
        refuse_unwritable_run(RunFolder(tmp_path / "file" / "run"))


def test_a_run_with_a_former_key_is_read_and_a_configuration_is_told_the_new_one(
    tmp_path: Path,
) -> None:
    folder, config = RunFolder(tmp_path / "run"), tiny_config(init_from="head-mr-ct")
    start_run(folder, config, {})
    text = folder.config.read_text(encoding="utf-8")
    assert "init_from: head-mr-ct" in text
    folder.config.write_text(text.replace("init_from:", "begin_from:"), encoding="utf-8")
    assert read_run(folder) == (config, {})
    with pytest.raises(UsageError, match="no key begin_from; perhaps init_from is meant"):
        read_settings(folder.config, TrainConfig)


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        read_run(RunFolder(tmp_path))
    start_run(RunFolder(tmp_path), tiny_config(), {})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run\.json cannot be read"):
        read_run(RunFolder(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        start_run(RunFolder(tmp_path / "file" / "run"), tiny_config(), {})


def test_a_resumed_run_keeps_what_its_weights_depend_on() -> None:
    old = tiny_config()
    for changes in ({"steps": 99}, {"workers": 1}, {"log_every": 7}):
        refuse_other_settings(old, tiny_config(**changes))
    for changes in ({"seed": 4}, {"batch_size": 4}, {"losses": {}}, {"generator_rate": 1e-3}):
        key = next(iter(changes)) if set(changes) <= {"seed", "batch_size"} else "engine"
        with pytest.raises(UsageError, match=f"^{key} is .*but the run has"):
            refuse_other_settings(old, tiny_config(**changes))
    assert set(MAY_CHANGE) < set(type(old).model_fields)


def test_rows_after_a_step_are_taken_back_and_so_is_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    drop_rows_after(path, 3)
    assert not path.exists()
    for step in (1, 2, 3, 4):
        append_row(path, {"step": step, "loss": step / 8})
    with path.open("a") as file:
        file.write("2,0.2")  # the process died while it wrote
    drop_rows_after(path, 3)
    assert path.read_text().split() == ["step,loss", "1,0.125", "2,0.25", "3,0.375"]


def test_rows_keep_the_columns_that_an_earlier_version_began_with(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_row(path, {"step": 1, "mae": 3.0, "nmi": 1.1})
    append_row(path, {"step": 2, "mae": 2.0, "correlation": 0.5, "nmi": 1.2})
    append_row(path, {"step": 3, "mae": 1.0})
    assert path.read_text().split() == ["step,mae,nmi", "1,3.0,1.1", "2,2.0,1.2", "3,1.0,nan"]
