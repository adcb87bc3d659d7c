"""One worker and one tiny model for all tests of a module."""

from __future__ import annotations

import gc
import warnings
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


@pytest.fixture(scope="package", autouse=True)
def _sockets_let_go() -> Iterator[None]:
    """Collect the sockets that pynetdicom lets go of unclosed, here and not at the end of the run,
    where they would count as an error of pytest.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
