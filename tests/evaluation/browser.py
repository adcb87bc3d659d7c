"""A real browser for pages on disk, and what it complains about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@dataclass
class Seen:
    """A page in the browser: errors of its scripts and console, and addresses it asked for."""

    page: object
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[object]:
    """Debian's chromium, without a window and with software rendering."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: the page was not tested in a browser")
    with api.sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


def opened(running, path: Path) -> Seen:
    """Open a file in a new page and remember what goes wrong from the start."""
    page = running.new_page(viewport={"width": 1200, "height": 900})
    seen = Seen(page)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else 0,
    )
    page.on("request", lambda asked: seen.requests.append(asked.url))
    page.goto(path.as_uri())
    return seen
