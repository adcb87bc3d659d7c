"""Dose comparisons: what is taken, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.dose import (
    MOST_PICTURE_BYTES,
    RangeError,
    dose_rows,
    doses_of,
    gamma_text,
    range_text,
)
from tests.evaluation.dose_factory import PNG, comparison, write

METHODS = ("good", "poor")


def test_points_are_told_with_their_difference(tmp_path: Path) -> None:
    write(tmp_path / "dose")
    (tmp_path / "dose" / "other.json").write_text('{"schema": "something else"}')
    found = doses_of(tmp_path / "dose", cases=["P01"], methods=METHODS)
    assert found.warnings == ()
    first, second = dose_rows(found.results)
    assert (first["structure"], first["point"], first["difference"]) == ("PTV", "D95", -0.4)
    assert (second["role"], second["difference"]) == ("organ", 0.5)
    assert first["gamma_criterion"] == "2 %/2 mm, global, above 10 %"
    assert first["range_error_mean_mm"] is None
    assert gamma_text(found.results[0].comparison.gamma) == first["gamma_criterion"]


def test_cases_and_methods_are_the_studys(tmp_path: Path) -> None:
    write(tmp_path / "dose")
    write(tmp_path / "dose", "P02.json", case="P02", method="")
    write(tmp_path / "dose", "P03.json", case="P03")
    found = doses_of(tmp_path / "dose", cases=["P01", "P02", "P04"], methods=("good",))
    assert [(r.case, r.method) for r in found.results] == [("P01", "good"), ("P02", "good")]
    assert any("P03 of good" in said for said in found.warnings)
    assert any("No dose comparison was given for P04" in said for said in found.warnings)
    two = doses_of(tmp_path / "dose", cases=["P01", "P02"], methods=METHODS)
    assert [r.case for r in two.results] == ["P01"]  # of two methods, an empty one says nothing
    with pytest.raises(InputRefused, match="none of the dose comparisons"):
        doses_of(tmp_path / "dose", cases=["P77"], methods=METHODS)


def test_two_plans_of_one_modality_are_refused_and_of_two_are_not(tmp_path: Path) -> None:
    write(tmp_path / "dose")
    protons = comparison()["plan"] | {"modality": "protons"}
    write(tmp_path / "dose", "P01_protons.json", plan=protons)
    assert len(doses_of(tmp_path / "dose", cases=["P01"], methods=METHODS).results) == 2
    write(tmp_path / "dose", "again.json")
    with pytest.raises(InputRefused, match="are both of P01, good, photons"):
        doses_of(tmp_path / "dose", cases=["P01"], methods=METHODS)


def test_the_picture_lies_beside_and_is_a_png(tmp_path: Path) -> None:
    folder = tmp_path / "dose"
    write(folder, figure="P01_dvh.png")
    with pytest.raises(InputRefused, match=r"P01_dvh\.png: cannot be read"):
        doses_of(folder, cases=["P01"], methods=METHODS)
    (folder / "P01_dvh.png").write_bytes(b"<svg>")
    with pytest.raises(InputRefused, match="a figure is a PNG"):
        doses_of(folder, cases=["P01"], methods=METHODS)
    (folder / "P01_dvh.png").write_bytes(PNG + b"\0" * MOST_PICTURE_BYTES)
    with pytest.raises(InputRefused, match="a figure is a PNG"):
        doses_of(folder, cases=["P01"], methods=METHODS)
    (folder / "P01_dvh.png").write_bytes(PNG)
    (found,) = doses_of(folder, cases=["P01"], methods=METHODS).results
    assert found.png == PNG
    assert found.png_base64


TARGET = comparison()["structures"][0]
ORGAN = comparison()["structures"][1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "version"),
        ({"extra": 1}, "extra"),
        ({"machine": ""}, "machine"),
        ({"figure": "../../secret.png"}, "not the name of a file"),
        ({"figure": "/etc/passwd"}, "not the name of a file"),
        ({"structures": [ORGAN]}, "no structure is the target"),
        ({"structures": [TARGET, TARGET]}, "two structures have one name"),
        ({"gamma": comparison()["gamma"] | {"pass_rate_percent": 101.0}}, "pass_rate_percent"),
        ({"gamma": comparison()["gamma"] | {"pass_rate_percent": float("nan")}}, "finite"),
        (
            {"structures": [TARGET | {"points": [TARGET["points"][0] | {"difference": 3.0}]}]},
            "difference 3 is not",
        ),
    ],
)
def test_what_breaks_the_schema_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    path = write(tmp_path / "dose", **changes)
    with pytest.raises(InputRefused) as refused:
        doses_of(tmp_path / "dose", cases=["P01"], methods=METHODS)
    assert path.name in str(refused.value)
    assert says in str(refused.value)


def test_a_folder_without_comparisons_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="cannot be listed"):
        doses_of(tmp_path / "none", cases=["P01"], methods=METHODS)
    with pytest.raises(InputRefused, match="holds no dose comparison, among 0 JSON files"):
        doses_of(tmp_path, cases=["P01"], methods=METHODS)
    (tmp_path / "torn.json").write_text('{"schema": "medcyc')
    with pytest.raises(InputRefused, match="no JSON that can be read"):
        doses_of(tmp_path, cases=["P01"], methods=METHODS)


def test_a_range_error_is_told_with_its_sign() -> None:
    error = RangeError(method="per-ray R80", mean_mm=-1.25, sd_mm=2.0, p95_abs_mm=4.0, rays=99)
    assert range_text(error).startswith("\N{MINUS SIGN}1.2 ")
    assert "per-ray R80" in range_text(error)
    assert range_text(None) == "not computed"


def test_the_schema_in_the_document_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    shown = text.split("```json\n")[1].split("```")[0]
    folder = tmp_path / "dose"
    folder.mkdir()
    (folder / "P01.json").write_text(shown)
    (folder / json.loads(shown)["figure"]).write_bytes(PNG)
    (found,) = doses_of(folder, cases=["P01"], methods=("head-mr-ct",)).results
    assert found.comparison.range_error is not None
