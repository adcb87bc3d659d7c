"""One worker and one tiny model for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from tests.service.running import workers
from tests.tiny_model import tiny_folder


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with workers() as found:
        yield found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")
