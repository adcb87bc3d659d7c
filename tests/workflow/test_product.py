"""Names and DICOM kinds of what a task makes."""

from __future__ import annotations

import pytest

from medcyclegan.workflow.request import (
    kind_of_target,
    method_of,
    series_label,
    suffix_of,
    task_said,
)
from tests.tiny_model import tiny_card
from tests.tiny_tasks import task_of

NOT_ACQUIRED = "(synthetic, not acquired)"


@pytest.mark.parametrize(
    ("name", "kind", "label", "suffix"),
    [
        ("mr-ct", "CT", f"sCT {NOT_ACQUIRED}", "_sct"),
        ("ct-mr", "MR", f"sMR {NOT_ACQUIRED}", "_tiny"),
        ("ct-ct", "CT", f"tiny {NOT_ACQUIRED}", "_tiny"),
        ("mr-mr", "MR", f"tiny {NOT_ACQUIRED}", "_tiny"),
        ("xr-xr", "XR", f"tiny {NOT_ACQUIRED}", "_tiny"),
        ("xr-ct", "SC", f"tiny {NOT_ACQUIRED}", "_tiny"),
        ("image-ct", "SC", f"tiny {NOT_ACQUIRED}", "_tiny"),
    ],
)
def test_kind_label_and_suffix(name: str, kind: str, label: str, suffix: str) -> None:
    card = tiny_card(task_of(name))
    assert kind_of_target(card.task) == kind
    assert series_label(card) == label
    assert suffix_of(card) == suffix


def test_names_that_files_cannot_have_and_long_ones() -> None:
    card = tiny_card(task_of("ct-ct")).model_copy(update={"name": "../my model: " + "x" * 60})
    assert suffix_of(card) == "_my-model-" + "x" * 60
    assert len(series_label(card)) <= 64


def test_the_method_says_what_of_what() -> None:
    mr_ct = "Synthetic CT from MR by a 2.5D convolutional network"
    assert method_of(task_of("mr-ct")) == mr_ct
    assert method_of(task_of("ct-mr", depth=1)) == (
        "Synthetic MR from CT by a 2D convolutional network"
    )
    assert method_of(task_of("xr-ct")) == (
        "Synthetic picture of a CT from radiograph by a 2.5D convolutional network"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("mr-ct", "MR to synthetic CT"), ("ct-ct", "CT to translated CT"),
     ("mr-mr", "MR to translated MR"), ("xr-ct", "radiograph to synthetic picture of a CT")],
)  # fmt: skip
def test_what_is_made_of_what_is_said_within_a_sentence(name: str, said: str) -> None:
    assert task_said(task_of(name)) == said
