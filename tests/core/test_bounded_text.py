"""Text formats are bounded before they are expanded: bytes, nesting, aliases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from medcyclegan.core.text import (
    MOST_DEPTH,
    MOST_EXPANDED,
    MOST_SETTINGS_BYTES,
    parse_json,
    parse_yaml,
    read_text,
)
from medcyclegan.errors import ModelRefused, UsageError
from medcyclegan.io.targets import COMPLETION_RECORD, _files_listed
from medcyclegan.models.store import CARD_NAME, read_card
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.settings import read_settings
from medcyclegan.workflow.batch.item import _read_record, read_mark
from tests.tiny_model import tiny_folder


def doubling(levels: int, times: int = 10) -> str:
    """A few lines in which each level repeats the one below; the last stands for times**levels."""
    lines = ["a0: &a0 x"]
    for level in range(1, levels + 1):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * times)}]")
    return "\n".join(lines)


HOSTILE = {
    "aliases that multiply": doubling(9),
    "aliases of a long text": f"a: &a {'x' * 50_000}\nb: [{', '.join(['*a'] * 100)}]",
    "merged keys that multiply": "a0: &a0 {k0: 1, k1: 1}\n"
    + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))
    + "\nb: {<<: *a8}",
    "an alias of what holds it": "a: &a [1, *a]",
    "an alias of nothing": "a: *b",
    "deep brackets": "a: " + "[" * 50_000,
    "deep braces": "{a: " * 20_000,
    "deep lists": "- " * 20_000 + "x",
    "too many bytes": "a: " + "x" * MOST_SETTINGS_BYTES,
    "two documents": "a: 1\n---\nb: 1\n",
    "a key twice": "steps: 1\nsteps: 2\n",
    "a tag that runs code": "a: !!python/object/apply:os.system [true]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_configuration_is_refused_at_once_with_its_path(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(UsageError, match=r"odd\.yaml") as refusal:
        read_settings(path, TrainConfig)
    assert time.process_time() - started < 5.0
    assert len(str(refusal.value)) < 500


def test_the_control_shows_what_is_kept_out() -> None:
    """Aliases are shared objects to a plain loader: what they stand for comes with their text."""
    loaded = yaml.safe_load(doubling(4))
    assert len(json.dumps(loaded)) > 5 * 10**4
    with pytest.raises(ValueError, match="stands for more than"):
        parse_yaml(doubling(6))
    with pytest.raises(RecursionError):
        yaml.safe_load("[" * 5000 + "]" * 5000)


def test_what_people_write_is_read() -> None:
    assert parse_yaml("a: &a {b: 2e-4}\nc: *a\n") == {"a": {"b": 2e-4}, "c": {"b": 2e-4}}
    assert parse_yaml("a: {<<: {b: 1}, c: 2}") == {"a": {"b": 1, "c": 2}}
    assert parse_yaml("") is None
    nested = "[" * (MOST_DEPTH - 1) + "]" * (MOST_DEPTH - 1)
    assert parse_yaml(nested) is not None
    assert len(parse_yaml("a: [" + "x, " * 1000 + "]")["a"]) == 1000  # type: ignore[index]
    assert MOST_EXPANDED > MOST_SETTINGS_BYTES


def test_a_value_on_the_command_line_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "fine.yaml").write_text("steps: 4\n")
    with pytest.raises(UsageError, match="cannot be read as a value"):
        read_settings(tmp_path / "fine.yaml", TrainConfig, changes=["losses=" + "[" * 5000])


def test_json_that_is_nested_or_long_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 10**6)
    assert parse_json('{"a": [1]}') == {"a": [1]}
    path = tmp_path / "long.json"
    path.write_text("x" * 101)
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        read_text(path, most_bytes=100)
    assert len(read_text(path, most_bytes=101)) == 101
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_text(tmp_path / "pipe", most_bytes=100)


DEEP = "[" * 10**5 + "]" * 10**5


def test_records_cards_and_marks_that_are_hostile_count_as_damaged(tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model")
    (model / CARD_NAME).write_text(DEEP)
    with pytest.raises(ModelRefused, match="card"):
        read_card(model)
    (tmp_path / COMPLETION_RECORD).write_text(DEEP)
    assert _files_listed(tmp_path / COMPLETION_RECORD) is None
    for read in (_read_record, read_mark):
        for content in (DEEP, "x" * 2**21, "{"):
            item, settings = _Place(tmp_path, content)
            assert read(item, settings) is None  # type: ignore[arg-type]


class _Place:
    """An item and settings of a batch as far as its record and mark need them."""

    key = "key"

    def __init__(self, state: Path, content: str) -> None:
        self.state = state
        for name in ("records", "started"):
            (state / name).mkdir(exist_ok=True)
            (state / name / "key.json").write_text(content)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter((self, self))


def test_a_study_file_is_refused_in_one_line(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    path = tmp_path / "study.yaml"
    path.write_text(doubling(9))
    done = subprocess.run(
        [sys.executable, root / "pipelines" / "run_study.py", path],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
