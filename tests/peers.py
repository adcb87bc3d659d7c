"""Programs of other people that DICOM is exchanged with: dcmtk's and Orthanc, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name: str) -> str:
    """The path of a program of the system; the test is skipped without it.

    pynetdicom brings scripts with the names of dcmtk's, which come first in an environment.
    """
    scripts = Path(sysconfig.get_path("scripts"))
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and Path(f) != scripts]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{name} is not installed: what it says was not looked at")
    return found


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, child: subprocess.Popen[bytes], name: str) -> None:
    """Wait until a program listens; skip where it does not run here."""
    for _ in range(600):
        if child.poll() is not None:
            pytest.skip(f"{name} does not run here: it was not tested with it")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{name} does not answer")


@contextmanager
def storage_node(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """dcmtk's storescp, which stores what it is sent; gives its port."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [program("storescp"), *options, "--output-directory", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as node:
        try:
            wait_for_port(port, node, "storescp")
            yield port
        finally:
            node.terminate()


def storescu(folder: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Send the files of a folder with dcmtk's storescu."""
    command = [
        program("storescu"), *options, "--scan-directories", "--scan-pattern", "*.dcm",
        "127.0.0.1", str(port), str(folder),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
