"""The viewer in a real browser: what is shown where, and what wheel, pointer and keys do."""

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.report import ScanReport, render_report
from medcyclegan.evaluation.study.run import evaluate_study
from tests.evaluation.browser import browser, opened
from tests.evaluation.study.cohort import make_cohort, request_on

PLANES = ("Axial", "Coronal", "Sagittal")
# Linear in the place, so that whatever the browser interpolates is right between voxels, too.
HU_PER_MM = np.array((8.0, -5.0, 11.0))


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


def ramp_report() -> ScanReport:
    """Voxel axes run back, up and right, of unequal length and spacing."""
    affine = np.array(
        [[0, 0, 3.0, -30.0], [-4.0, 0, 0, 50.0], [0, 5.0, 0, -44.0], [0, 0, 0, 1]], dtype=float
    )
    geometry = Geometry((24, 16, 20), affine)
    place = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1).astype(float))
    sct = Volume((place @ HU_PER_MM).astype(np.float32), geometry, "HU")
    mr = sct.with_voxels(np.maximum(sct.voxels, 0.0), unit="a.u.")
    return ScanReport(
        mr=mr, sct=sct, input_format="NIfTI", model_name="m", model_sha256="0" * 64, seconds=1.0,
        version="1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def scan_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "report.html"
    path.write_text(render_report(ramp_report()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def study_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients, two methods; without the figures, which have tests of their own."""
    root = tmp_path_factory.mktemp("study")
    make_cohort(root, (1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medcyclegan.evaluation.study.output.draw_all", lambda *scored: iter(()))
        now = datetime(2026, 1, 2, tzinfo=UTC)
        evaluate_study(request_on(root, mr=root / "mr"), version="1", now=now)
    return root / "study" / "report.html"


def open_viewer(seen, number: int = 0):
    viewer = seen.page.locator("details.viewer").nth(number)
    viewer.locator("summary").click()
    viewer.locator(".viewing").wait_for(state="visible")
    return viewer


@pytest.fixture
def viewer(chromium, study_page: Path):
    """The second patient's viewer; whatever a test does must go without an error."""
    seen = opened(chromium, study_page)
    yield open_viewer(seen, 1)
    assert seen.complaints == []
    seen.page.close()


def canvas_of(viewer, plane: str):
    return viewer.locator(f'[data-plane="{plane}"] canvas')


def pixels(viewer, plane: str) -> np.ndarray:
    """What a canvas shows, (rows, columns, RGB)."""
    url = canvas_of(viewer, plane).evaluate("canvas => canvas.toDataURL()")
    picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")
    return np.asarray(picture).astype(int)


def slice_number(viewer, plane: str) -> int:
    text = viewer.locator(f'[data-plane="{plane}"] figcaption').inner_text()
    return int(re.match(rf"{plane} (\d+)/", text)[1])


def put(viewer, selector: str, value: str) -> None:
    """Set a slider or a number as if by hand."""
    viewer.locator(selector).evaluate(
        "(field, value) => { field.value = value; for (const kind of ['input', 'change']) "
        "field.dispatchEvent(new Event(kind)); }",
        value,
    )


def test_pages_load_without_errors_and_without_asking_for_anything(
    chromium, study_page: Path, scan_page: Path
) -> None:
    for path in (study_page, scan_page):
        seen = opened(chromium, path)
        open_viewer(seen)
        assert seen.complaints == []
        assert seen.requests == [path.as_uri()]
        seen.page.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Viewer {", "class Viewer { {"),
        ("unpacked(text, count)", "unpacked(text, count - 1)"),
        ("</body>", '<img src="http://a.example/x.png"></body>'),
        ("</body>", "<script>fetch('data:,x')</script></body>"),
    ],
)
def test_the_control_a_broken_page_is_noticed(
    chromium, scan_page: Path, tmp_path: Path, old: str, new: str
) -> None:
    text = scan_page.read_text(encoding="utf-8")
    assert text.count(old) == (1 if old != "unpacked(text, count)" else 2)
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace(old, new), encoding="utf-8")
    seen = opened(chromium, broken)
    seen.page.locator("details.viewer summary").click()
    seen.page.wait_for_timeout(200)
    assert seen.complaints
    seen.page.close()


@pytest.mark.parametrize("plane", PLANES)
def test_every_pixel_shows_the_hu_of_its_place(chromium, scan_page: Path, plane: str) -> None:
    seen = opened(chromium, scan_page)
    viewer = open_viewer(seen)
    viewer.locator(".cross").uncheck()
    put(viewer, ".level", "0")
    put(viewer, ".width", "2000")
    canvas_of(viewer, plane).focus()
    viewer.page.keyboard.press("ArrowDown")
    viewer.page.keyboard.press("ArrowDown")
    caption = viewer.locator(f'[data-plane="{plane}"] figcaption').inner_text()
    shown = pixels(viewer, plane)
    # Letters and bar are outside of these.
    rows, columns = np.linspace(0.2, 0.8, 7), np.linspace(0.2, 0.8, 7)
    # The borders of the grid: right -31.5..28.5, front 52..-44, head -46.5..33.5 mm.
    first, last = np.array((28.5, 52.0, 33.5)), np.array((-31.5, -44.0, -46.5))
    across, right, down = {"Axial": (2, 0, 1), "Coronal": (1, 0, 2), "Sagittal": (0, 1, 2)}[plane]
    number, count = (int(n) for n in re.search(r"(\d+)/(\d+)", caption).groups())
    assert count == {"Axial": 16, "Coronal": 24, "Sagittal": 20}[plane]
    assert number == count // 2 + 3
    off = {"as it is": [], "mirrored": [], "upside down": [], "the next slice": []}
    for y in rows:
        for x in columns:
            grey = shown[int(y * shown.shape[0]), int(x * shown.shape[1]), 0]
            for name, (u, v, n) in {
                "as it is": (x, y, number), "mirrored": (1 - x, y, number),
                "upside down": (x, 1 - y, number), "the next slice": (x, y, number + 1),
            }.items():  # fmt: skip
                share = np.zeros(3)
                share[[right, down, across]] = u, v, (n - 0.5) / count
                hu = (first + share * (last - first)) @ HU_PER_MM
                off[name].append(abs(grey - np.clip((hu + 1000.0) / 2000.0, 0, 1) * 255.0))
    assert max(off.pop("as it is")) < 2.5  # grey levels, of 7.8 HU; a pixel is half a level wide
    for name, errors in off.items():  # the controls
        assert max(errors) > 2.5, name
    letter, mm = re.search(r"([RLAPSI]) (\d+) mm", caption).groups()
    middle = first[across] + (number - 0.5) / count * (last - first)[across]
    assert letter == ("LR", "PA", "IS")[across][int(middle >= 0)]
    assert abs(float(mm) - abs(middle)) <= 0.5
    seen.page.close()


def test_the_value_under_the_pointer_is_that_of_the_voxel(chromium, scan_page: Path) -> None:
    seen = opened(chromium, scan_page)
    viewer = open_viewer(seen)
    canvas_of(viewer, "Axial").scroll_into_view_if_needed()
    box = canvas_of(viewer, "Axial").bounding_box()
    viewer.page.mouse.move(box["x"] + 0.26 * box["width"], box["y"] + 0.76 * box["height"])
    said = viewer.locator(".readout").inner_text().replace("\N{MINUS SIGN}", "-")
    place = [
        float(mm) * (1 if letter in "RAS" else -1)
        for letter, mm in re.findall(r"([RLAPSI]) (\d+\.\d)", said)
    ]
    assert np.allclose(place[:2], (12.0, -22.0))  # voxel centres, of 3 and 4 mm
    hu = int(re.search(r"Synthetic CT: (-?\d+) HU", said)[1])
    assert abs(hu - place @ HU_PER_MM) <= 0.51
    assert "Under the pointer" in said
    seen.page.close()


def test_planes_are_as_wide_and_high_as_they_are_in_mm(chromium, scan_page: Path) -> None:
    seen = opened(chromium, scan_page)
    viewer = open_viewer(seen)
    sizes_mm = {"Axial": (60.0, 96.0), "Coronal": (60.0, 80.0), "Sagittal": (96.0, 80.0)}
    scales = []
    for plane, size_mm in sizes_mm.items():
        box = canvas_of(viewer, plane).bounding_box()
        scales += [box["width"] / size_mm[0], box["height"] / size_mm[1]]
    assert max(scales) / min(scales) < 1.02
    seen.page.close()


def test_wheel_drag_slider_and_keys_scroll(viewer) -> None:
    mouse, keyboard = viewer.page.mouse, viewer.page.keyboard
    canvas = canvas_of(viewer, "Axial")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    start, before = slice_number(viewer, "Axial"), pixels(viewer, "Axial")

    mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    mouse.wheel(0, 100)
    viewer.page.wait_for_function(
        f"document.querySelectorAll('[data-plane=Axial] figcaption')[1].textContent"
        f".startsWith('Axial {start + 1}/')"
    )
    assert (pixels(viewer, "Axial") != before).any()

    coronal, sagittal = slice_number(viewer, "Coronal"), slice_number(viewer, "Sagittal")
    before = pixels(viewer, "Coronal")
    mouse.down()
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.75 * box["height"], steps=3)
    mouse.up()
    assert slice_number(viewer, "Coronal") > coronal
    assert slice_number(viewer, "Sagittal") < sagittal
    assert slice_number(viewer, "Axial") == start + 1
    assert (pixels(viewer, "Coronal") != before).any()

    put(viewer, '[data-plane="Axial"] input', "3")
    assert slice_number(viewer, "Axial") == 4

    for key, expected in (
        ("ArrowDown", 5), ("ArrowUp", 4), ("PageDown", 14), ("PageUp", 4), ("Home", 1),
        ("ArrowUp", 1), ("End", 28), ("ArrowDown", 28),
    ):  # fmt: skip
        canvas.press(key)
        assert slice_number(viewer, "Axial") == expected, key
    keyboard.press("Tab")
    assert viewer.page.evaluate("document.activeElement.ariaLabel") == "Axial slice"


def test_presets_set_the_window_by_key_and_by_button(viewer) -> None:
    shown = {}
    for key, (level, width) in {"1": (40, 80), "2": (40, 400), "3": (400, 2000)}.items():
        canvas_of(viewer, "Coronal").press(key)
        assert viewer.locator(".level").input_value() == str(level)
        assert viewer.locator(".width").input_value() == str(width)
        low, high = level - width // 2, level + width // 2
        legend = viewer.locator(".legends > div").last.inner_text().replace("\N{MINUS SIGN}", "-")
        assert re.search(rf"{low}\s+{high} HU", legend)
        assert viewer.locator('button[aria-pressed="true"]').inner_text().startswith(key)
        shown[key] = pixels(viewer, "Coronal")
    assert (shown["1"] != shown["2"]).any()
    assert (shown["2"] != shown["3"]).any()
    viewer.get_by_role("button", name="Brain").click()
    assert (pixels(viewer, "Coronal") == shown["1"]).all()


def test_the_slider_blends_any_two_images(viewer) -> None:
    viewer.locator(".cross").uncheck()
    first, second = viewer.locator("select.layer").all()
    names = first.locator("option").all_inner_texts()
    minus = "\N{MINUS SIGN}"
    assert names == [
        "MR", "CT", "sCT good", "sCT poor", f"sCT good {minus} CT", f"sCT poor {minus} CT"
    ]  # fmt: skip
    first.select_option("MR")
    second.select_option(f"sCT poor {minus} CT")
    shown = {}
    for share in (0, 40, 100):
        put(viewer, ".share", str(share))
        shown[share] = pixels(viewer, "Sagittal")
    blended = 0.6 * shown[0] + 0.4 * shown[100]
    middle = tuple(slice(n // 4, -n // 4) for n in shown[0].shape[:2])  # without the letters
    assert np.abs(shown[40] - blended)[middle].max() <= 3  # of 255; each is rounded
    assert np.abs(shown[40] - shown[0])[middle].max() > 20
    assert (np.ptp(shown[0][middle], axis=-1) <= 1).all()  # the MR is grey
    assert np.ptp(shown[100][middle], axis=-1).max() > 50  # the difference is coloured
    assert f"{minus}300" in viewer.locator(".legends").inner_text()
    canvas_of(viewer, "Sagittal").press("x")
    assert (pixels(viewer, "Sagittal") == shown[0]).all()
    canvas_of(viewer, "Sagittal").press("ArrowRight")
    assert viewer.locator(".shown").inner_text() == "95 % A, 5 % B"
    viewer.locator(".outline").check()
    assert (pixels(viewer, "Sagittal") != shown[0]).any()


def test_all_is_reached_by_tab_and_the_focus_is_seen(viewer) -> None:
    viewer.locator("summary").focus()
    reached = []
    for _ in range(18):
        viewer.page.keyboard.press("Tab")
        tag, outline = viewer.page.evaluate(
            "(() => { const e = document.activeElement;"
            " return [e.tagName, getComputedStyle(e).outlineStyle]; })()"
        )
        reached.append(tag)
        assert outline != "none", tag
        if reached.count("CANVAS") == 3:
            break
    assert reached.count("BUTTON") == 3
    assert reached.count("SELECT") == 2
    assert reached.count("CANVAS") == 3


def test_closing_lets_go_of_the_images_and_they_can_be_opened_again(viewer) -> None:
    viewer.locator("summary").click()
    viewer.locator(".viewing").wait_for(state="hidden")
    viewer.locator("summary").click()
    viewer.locator(".viewing").wait_for(state="visible")
    assert np.ptp(pixels(viewer, "Axial")) > 100


def test_an_open_viewer_is_printed(viewer) -> None:
    page = viewer.page
    with_images = page.pdf()
    assert with_images.startswith(b"%PDF")
    viewer.locator("summary").click()
    viewer.locator(".viewing").wait_for(state="hidden")
    without = page.pdf()
    assert with_images.count(b"/Subtype /Image") >= without.count(b"/Subtype /Image") + 3
