"""The CT that quantities are derived from: what a scanner acquired, or what a model made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.api import MapSource, is_made_by_a_program
from medcyclegan.io.leftovers import sidecar_path
from medcyclegan.io.scan import DicomSourceHeader, Scan
from medcyclegan.io.sidecar import model_told_by


@dataclass(frozen=True, eq=False)
class DerivedFrom:
    """A CT in HU: its voxels, the scan that it is or was made from, and the file that holds it.

    ``slices`` are those of the CT where it is DICOM, None else.
    """

    image: Volume
    scan: Scan
    file: Path
    slices: MapSource | None = None

    @property
    def name(self) -> str:
        """What the CT is called: what was read, or what was made of it."""
        if self.file == self.scan.source:
            return "a synthetic CT" if _is_synthetic(self.scan) else "a CT"
        made = "translated CT" if self.scan.modality == "CT" else "synthetic CT"
        return f"the {made} {path_text(self.file.name)}"

    @property
    def is_of_a_model(self) -> bool:
        """Whether a model made its HU, as far as it is told."""
        return self.file != self.scan.source or _is_synthetic(self.scan)


def _is_synthetic(scan: Scan) -> bool:
    """Whether a CT that was read is marked as made: by its header, or by our sidecar beside it."""
    if isinstance(scan.source_header, DicomSourceHeader):
        return any(is_made_by_a_program(ds, scan.source) for ds in scan.source_header.slices)
    beside = sidecar_path(scan.source)
    return beside is not None and bool(model_told_by(beside))
