"""What stands in a report, and what must not."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.metrics import Scores
from medcyclegan.evaluation.pictures import Names
from medcyclegan.evaluation.report import ScanReport, render_report

SCORES = Scores(
    "synthrad2023", 71.26, 29.9, 0.8312, None, 0.7519, math.nan, 30.0, 250.0, *[0.0] * 8
)


@pytest.fixture(scope="module")
def report() -> ScanReport:
    """A cube of 80 mm: soft tissue, with a quarter of it bone."""
    geometry = geometry_from_spacing((30, 30, 20), (4.0, 4.0, 6.0))
    hu = np.full(geometry.shape, -1000.0, dtype=np.float32)
    hu[5:25, 5:25, 3:17] = 40.0
    hu[5:10, 5:25, 3:17] = 800.0
    sct = Volume(hu, geometry, "HU")
    mr = Volume(np.maximum(hu, 0.0), geometry, "a.u.")
    return ScanReport(
        mr=mr,
        sct=sct,
        input_format="DICOM series",
        model_name="head-t1",
        model_sha256="0123456789abcdef" * 4,
        seconds=12.34,
        version="9.8.7",
    )


def rows(html: str) -> dict[str, str]:
    found = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', html)
    return dict(found)


def test_the_summary(report: ScanReport) -> None:
    html = render_report(report)
    table = rows(html)
    assert table["Input format"] == "DICOM series"
    assert table["Grid"] == "30 × 30 × 20 voxels"  # noqa: RUF001
    assert table["Spacing"] == "4 × 4 × 6 mm"  # noqa: RUF001
    assert table["Axes"].startswith("RAS")
    assert table["HU range"] == "-1000 to 800 HU"
    assert table["Model"] == "head-t1"
    assert table["Weights, sha256"] == "0123456789ab…"
    assert table["medcyclegan"] == "9.8.7"
    assert table["Time taken"] == "12.3 s"
    assert table["Bone, above 250 HU"] == "25.0 %"
    assert table["Soft tissue, -150 to 150 HU"] == "75.0 %"
    assert "research use only" in html
    assert "No warnings" in html
    assert "Compared with the true CT" not in html


def test_tissues_are_counted_in_the_body_mask_that_is_given(report: ScanReport) -> None:
    some = np.zeros_like(report.sct.voxels)
    some[5:15, 5:25, 3:17] = 1.0
    given = replace(report, body=report.sct.with_voxels(some, unit="mask"))
    assert rows(render_report(given))["Bone, above 250 HU"] == "50.0 %"
    assert (
        rows(render_report(report))["Bone, above 250 HU"] == "25.0 %"
    )  # the control: it is sought


def test_other_translations_are_called_by_their_names(report: ScanReport) -> None:
    html = render_report(
        replace(report, mr=report.sct, sct=report.mr, names=Names("CT", "Synthetic MR"))
    )
    assert "<h1>Synthetic MR report</h1>" in html
    assert "predicted by a neural network from CT" in " ".join(html.split())
    assert rows(html)["Range"] == "0 to 800 a.u."
    for text in ("HU range", "inside the body", "Synthetic CT", "Bone, above"):
        assert text not in html
        assert text in render_report(report)  # the control


def test_scores_come_with_their_protocol(report: ScanReport) -> None:
    html = render_report(replace(report, ct=report.sct, scores=SCORES))
    assert "protocol synthrad2023" in html
    for text in ("71.3 HU", "29.9 dB", "0.831", "0.752", "not defined"):
        assert f"<td>{text}</td>" in html
    assert "MS-SSIM" not in html


def test_warnings_are_listed_and_escaped(report: ScanReport) -> None:
    html = render_report(replace(report, warnings=("thick slices", "<script>alert(1)</script>")))
    assert "2 warnings" in html
    assert "<li>thick slices</li>" in html
    assert "&lt;script&gt;" in html
    assert "<script>alert" not in html


def test_nothing_is_loaded_from_elsewhere(report: ScanReport) -> None:
    html = render_report(report)
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert not re.search(r"https?://|@import|url\(", html)
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_an_image_without_a_body_still_gives_a_report(report: ScanReport) -> None:
    air = report.sct.with_voxels(np.full(report.sct.geometry.shape, -1000.0, dtype=np.float32))
    html = render_report(replace(report, sct=air))
    assert "No body found" in html
    assert "Bone, above" not in html


def test_it_is_a_whole_page(report: ScanReport) -> None:
    text = render_report(report)
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")
