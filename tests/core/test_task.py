"""Domains, windows and tasks are valid from birth and frozen."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medcyclegan.core.task import Domain, Percentiles, Task, Window, fits_modality

MR: dict[str, Any] = {
    "modality": "MR",
    "unit": "a.u.",
    "scaling": {"kind": "percentiles", "lower": 0.5, "upper": 99.5},
}
CT: dict[str, Any] = {
    "modality": "CT",
    "unit": "HU",
    "scaling": {"kind": "window", "lower": -1000, "upper": 2000},
}


def task(**changes: Any) -> Task:
    return Task.model_validate({"name": "mr-ct", "source": MR, "target": CT, **changes})


def test_a_task_is_read_from_plain_data_and_back() -> None:
    made = task(depth=7, spacing_mm=1.5)
    assert isinstance(made.source.scaling, Percentiles)
    assert made.target_window == Window(lower=-1000.0, upper=2000.0)
    assert Task.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 4}, "must be odd"),
        ({"depth": 3, "stride": 4}, "stride 4 leaves out slices between slabs of depth 3"),
        ({"depth": 3, "thick_stride": 4}, "thick_stride 4 leaves out slices between slabs"),
        ({"stride": 0}, "greater than or equal to 1"),
        ({"depth": 0}, "greater than or equal to 1"),
        ({"depth": 33}, "less than or equal to 31"),
        ({"spacing_mm": 0}, "greater than or equal to 0.3"),
        ({"spacing_mm": float("nan")}, "less than or equal to 10"),
        ({"spacing_mm": 11}, "less than or equal to 10"),
        ({"thick_slice_mm": -1}, "greater than 0"),
        ({"target": MR}, "fixed window"),
        ({"colour": "red"}, "Extra inputs"),
        ({"source": {**MR, "modality": "PET"}}, "'MR', 'CT', 'XR' or 'image'"),
        ({"source": {**MR, "unit": "HU"}}, "only CT has HU"),
        ({"plane_px": 8}, "greater than or equal to 16"),
        ({"source": {**MR, "unit": "K"}}, "'HU' or 'a.u.'"),
        ({"source": {**MR, "scaling": {"kind": "log"}}}, "kind"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        task(**changes)


@pytest.mark.parametrize("bounds", [(5.0, 5.0), (6.0, 5.0), (float("nan"), 5.0)])
def test_a_window_must_be_ordered(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"must be below upper|finite number"):
        Window(lower=bounds[0], upper=bounds[1])
    with pytest.raises(ValidationError):
        Percentiles(lower=bounds[0], upper=bounds[1])


@pytest.mark.parametrize("bounds", [(float("-inf"), 5.0), (0.0, float("inf"))])
def test_a_window_must_be_finite(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        Window(lower=bounds[0], upper=bounds[1])


@pytest.mark.parametrize("bounds", [(-1.0, 50.0), (1.0, 101.0), (100.0, 100.0)])
def test_percentiles_lie_in_0_to_100(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        Percentiles(lower=bounds[0], upper=bounds[1])


def test_all_of_it_is_frozen() -> None:
    made = task()
    for thing, name in ((made, "depth"), (made.source, "unit"), (made.target.scaling, "lower")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(thing, name, 1)
    assert Domain.model_validate(MR) == made.source


@pytest.mark.parametrize(
    ("term", "wanted", "fits"),
    [
        ("CR", "XR", True),
        ("DX", "XR", True),
        ("MR", "XR", False),
        ("MR", "MR", True),
        ("CT", "MR", False),
        ("US", "image", True),
        ("US", None, True),
        ("", "MR", False),
    ],
)
def test_dicom_terms_and_modalities(term: str, wanted: str | None, fits: bool) -> None:
    assert fits_modality(term, wanted) is fits
