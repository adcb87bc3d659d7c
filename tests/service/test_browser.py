"""The page in a real browser: uploads by file, folder and zip, by keyboard, dark, narrow."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.service.node import Service
from medcyclegan.service.settings import WebSettings
from tests.evaluation.browser import browser
from tests.service.running import ended_jobs, mr_series, running, settings_of
from tests.tiny_model import head_on

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with browser() as running_browser:
        yield running_browser


@pytest.fixture
def service(tmp_path: Path, model: Path, client: Client) -> Iterator[Service]:
    with running(settings_of(tmp_path / "store", model), client) as found:
        yield found


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    mr, _ = head_on(geometry_from_spacing((24, 24, 12), (8.0, 8.0, 12.0)))
    write_nifti(mr, source_header=ItkSourceHeader(), to=tmp_path / "Patient Name.nii.gz")
    return tmp_path / "Patient Name.nii.gz"


class Tab:
    """A page of the service, and what the browser complained about or asked elsewhere."""

    def __init__(
        self, chromium, service: Service, *, width: int = 1280, dark: bool = False
    ) -> None:
        self.origin = f"http://127.0.0.1:{service.web.port}"
        self.page = chromium.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("request", self._asked)
        self.page.set_default_timeout(120_000)
        self.page.goto(self.origin)

    def _asked(self, request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.complaints.append(f"asked for {request.url}")

    def state_of_image(self, state: str):
        return self.page.locator(f".queue .job .badge.{state}").first


def test_a_file_a_folder_and_a_zip_are_translated_and_looked_at(
    chromium, service: Service, nifti: Path, tmp_path: Path
) -> None:
    tab = Tab(chromium, service)
    page = tab.page
    page.set_input_files("#files", str(nifti))
    tab.state_of_image("done").wait_for()
    assert page.locator(".queue .label").inner_text() == "Patient Name.nii.gz"
    folder = mr_series(tmp_path / "exam" / "SE1").parent
    (folder / "notes.txt").write_text("no image")
    page.set_input_files("#folder", str(folder))
    page.locator(".queue tbody tr").nth(1).wait_for()
    packed = tmp_path / "exam.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((folder / "SE1").iterdir()):
            archive.write(path, path.name)
    page.set_input_files("#files", str(packed))
    page.locator(".queue tbody tr").nth(2).wait_for()
    assert [job.state for job in ended_jobs(service, 3)] == ["done"] * 3
    page.locator(".job .badge.done").nth(2).wait_for()
    assert "1 file passed over" in page.locator(".queue").inner_text()
    with page.expect_download() as download:
        page.locator("text=NIfTI").last.click()
    assert re.fullmatch(r"medcyclegan_[0-9a-f]{16}\.nii\.gz", download.value.suggested_filename)
    page.locator(".queue a", has_text="View").first.click()
    page.locator(".viewing").wait_for(state="visible")
    assert "HU" in page.locator(".readout").inner_text()
    lit = page.evaluate(
        "[...document.querySelectorAll('.plane canvas')].map(c => "
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0 && v < 255))"
    )
    assert lit == [True, True, True]
    assert "exam" in page.locator("#told").inner_text()
    assert tab.complaints == []
    page.close()


def test_the_service_never_hears_the_name_of_a_file(
    chromium, service: Service, nifti: Path, tmp_path: Path
) -> None:
    tab = Tab(chromium, service)
    heard: list[str] = []
    tab.page.on("request", lambda r: heard.append(r.url + str(r.headers)))
    tab.page.set_input_files("#files", str(nifti))
    tab.state_of_image("done").wait_for()
    assert any("/files?ending=.nii.gz" in line for line in heard)
    assert not [line for line in heard if "Patient" in line]
    assert not [p for p in (tmp_path / "store").rglob("*") if "Patient" in p.name]
    tab.page.close()


def test_what_is_refused_says_why(chromium, service: Service, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    tab = Tab(chromium, service)
    tab.page.set_input_files("#files", str(tmp_path / "notes.txt"))
    tab.page.locator(".uploads .bad", has_text="none of them an image").wait_for()
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no NIfTI")
    tab.page.set_input_files("#files", str(bad))
    tab.state_of_image("refused").wait_for()
    assert tab.page.locator(".queue .job .reason").inner_text()
    assert [c for c in tab.complaints if "400" not in c] == []
    tab.page.close()


def test_everything_is_reached_by_the_keyboard(chromium, service: Service, nifti: Path) -> None:
    tab = Tab(chromium, service)
    page = tab.page
    page.set_input_files("#files", str(nifti))
    tab.state_of_image("done").wait_for()
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    for name in ("Choose files", "Choose a folder", "View", "NIfTI", "DICOM", "Remove"):
        assert name in reached
    page.locator(".queue a", has_text="View").focus()
    page.wait_for_timeout(2500)  # the queue was asked for again: the focus stays
    assert page.evaluate("document.activeElement.textContent") == "View"
    page.keyboard.press("Enter")
    page.locator(".viewing").wait_for(state="visible")
    page.locator(".plane canvas").first.focus()
    before = page.locator(".plane figcaption").first.inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator(".plane figcaption").first.inner_text() != before
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen_in_dark_and_light(
    chromium, service: Service, nifti: Path, width: int
) -> None:
    grounds = set()
    for dark in (False, True):
        tab = Tab(chromium, service, width=width, dark=dark)
        if not service.parts.queue.jobs():
            tab.page.set_input_files("#files", str(nifti))
        tab.state_of_image("done").wait_for()
        for _ in range(2):
            wide = tab.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            tab.page.locator("a", has_text=re.compile("View|Back")).first.click()
            tab.page.wait_for_load_state()
        grounds.add(tab.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert tab.complaints == []
        tab.page.close()
    assert len(grounds) == 2


def test_logging_in_and_out(chromium, tmp_path: Path, model: Path, client: Client) -> None:
    settings = settings_of(tmp_path / "store", model, web=WebSettings(port=0, token=TOKEN))
    with running(settings, client) as service:
        tab = Tab(chromium, service)
        page = tab.page
        page.locator("#token").fill("wrong")
        page.keyboard.press("Enter")
        page.locator("text=This is not the token").wait_for()
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("#state", has_text="Nothing has arrived").wait_for()
        page.locator("#logout").click()
        page.locator("#token").wait_for()
        page.goto(tab.origin)
        page.locator("#token").wait_for()
        page.close()
