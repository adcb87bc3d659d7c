"""A folder as a CD has it: a DICOMDIR, and the files that it names in folders of its own."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.fileset import FileSet


def make_cd(folder: Path, series: list[list[Path]]) -> Path:
    """Copy series to a CD in ``folder``, and return its DICOMDIR."""
    files = FileSet()
    for paths in series:
        for path in paths:
            files.add(dcmread(path))
    files.write(folder)
    files._stage["t"].cleanup()  # else it warns when it is collected
    return folder / "DICOMDIR"


def slices_of(cd: Path) -> list[Path]:
    """Return the files of a CD without its DICOMDIR."""
    return sorted(path for path in cd.rglob("*") if path.is_file() and path.name != "DICOMDIR")
