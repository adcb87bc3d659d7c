"""What is kept of an item: a record stands for an output that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.workflow.batch.item import (
    Item,
    Settings,
    Status,
    has_record,
    hash_input,
    make_state,
    up_to_date,
    write_record,
)
from medcyclegan.workflow.synthesize import Options
from tests.workflow.batch.trees import provenance

ITEM = Item(
    source=Path("p1/t1.nii.gz"),
    files=(Path("p1/t1.nii.gz"),),
    series_uid="",
    series_name="",
    contrast="T1w",
    output=Path("p1/t1_sct.nii.gz"),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for folder in ("in/p1", "out/p1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in" / ITEM.source).write_bytes(b"an image")
    made = Settings(
        root=tmp_path / "in",
        out=tmp_path / "out",
        model="tiny",
        model_sha256="0" * 64,
        options=Options(),
        provenance=provenance(),
        run="this run",
    )
    make_state(made)
    return made


def record(settings: Settings) -> None:
    row = ITEM.row(Status.DONE)
    digest = hash_input(ITEM, settings.root)
    write_record(ITEM, row.model_copy(update={"input_sha256": digest}), settings)


def test_an_output_that_is_gone_or_changed_is_not_up_to_date(settings: Settings) -> None:
    output = settings.out / ITEM.output
    assert up_to_date(ITEM, settings) is None
    output.write_bytes(b"a result")
    record(settings)
    row = up_to_date(ITEM, settings)
    assert row is not None
    assert row.status is Status.UP_TO_DATE
    output.write_bytes(b"cut")
    assert up_to_date(ITEM, settings) is None
    output.unlink()
    assert up_to_date(ITEM, settings) is None


def test_an_output_that_was_deleted_before_its_record_is_not_recorded(settings: Settings) -> None:
    with pytest.raises(FileNotFoundError):
        record(settings)
    assert not has_record(ITEM, settings)
    assert up_to_date(ITEM, settings) is None
