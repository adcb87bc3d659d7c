"""Good inputs of 20 x 24 x 10 voxels, and ways to make them odd."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from tests.dicom_factory import make_series
from tests.image_factory import SHAPE, nifti_header
from tests.odd.case import Make
from tests.tiny_model import head_on

SPACING_MM = (8.0, 8.0, 14.0)
GRID = geometry_from_spacing(SHAPE, SPACING_MM)
# LPS as scanners store axial slices: i to the left, j to the back.
DICOM_AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.affine_ras
ChangeHeader = Callable[[Nifti1Header], None]
ChangeBytes = Callable[[bytes], bytes]
ChangeSlice = Callable[[Dataset, int], None]


def head(geometry: Geometry = GRID) -> np.ndarray:
    """Whole numbers from 0 to 120, (i, j, k): a ball that is brighter at the top."""
    mr, _ = head_on(geometry, radius_mm=65.0)
    return np.rint(mr.voxels / 10.0).astype(np.int64)


def nifti(
    change: ChangeHeader | None = None,
    *,
    voxels: np.ndarray | None = None,
    damage: ChangeBytes | None = None,
    name: str = "scan.nii",
    **header_options: Any,
) -> Make:
    """Make a NIfTI file: its header changed, other voxels, then damage to the bytes."""

    def make(folder: Path) -> Path:
        header_options.setdefault("affine", GRID.affine_ras)
        stored = head() if voxels is None else voxels
        header = nifti_header(stored.shape, **header_options)
        dtype = header.get_data_dtype()
        if change is not None:
            change(header)
        content = header.binaryblock + bytes(4) + stored.astype(dtype).tobytes(order="F")
        content = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
        path = folder / name
        path.write_bytes(damage(content) if damage else content)
        return path

    return make


def fields(**values: Any) -> ChangeHeader:
    """Set fields of a NIfTI header."""

    def change(header: Nifti1Header) -> None:
        for name, value in values.items():
            header[name] = value

    return change


def dims(*sizes: int) -> ChangeHeader:
    """Set the dimensions of a NIfTI header, their number first."""
    return fields(dim=[*sizes, *[1] * (8 - len(sizes))])


def content(data: bytes, name: str = "scan.nii.gz") -> Make:
    """Make a file of these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def series(
    change: ChangeSlice | None = None,
    *,
    after: Callable[[list[Path]], None] | None = None,
    affine_ras: np.ndarray = DICOM_AFFINE,
    syntax: UID = ExplicitVRLittleEndian,
    modality: str = "MR",
) -> Make:
    """Make a DICOM series in ``mr``: slices changed one by one, then the files as they lie."""

    def make(folder: Path) -> Path:
        paths = head_series(
            folder / "mr", change, affine_ras=affine_ras, syntax=syntax, modality=modality
        )
        if after is not None:
            after(paths)
        return folder / "mr"

    return make


def head_series(
    folder: Path,
    change: ChangeSlice | None = None,
    *,
    affine_ras: np.ndarray = DICOM_AFFINE,
    syntax: UID = ExplicitVRLittleEndian,
    modality: str = "MR",
) -> list[Path]:
    """Write the head as a series; returns the files in the order of k."""
    stored = head(Geometry(SHAPE, DICOM_AFFINE)).astype("<u2")

    def with_head(ds: Dataset, k: int) -> None:
        ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        if change is not None:
            change(ds, k)

    return make_series(
        folder,
        shape=SHAPE,
        affine_ras=affine_ras,
        transfer_syntax=syntax,
        modality=modality,
        changes=with_head,
    )


def every(**values: Any) -> ChangeSlice:
    """Set attributes of every slice."""
    return lambda ds, _: _set(ds, values)


def third(**values: Any) -> ChangeSlice:
    """Set attributes of the third slice alone."""
    return lambda ds, k: _set(ds, values) if k == 2 else None


def without(keyword: str) -> ChangeSlice:
    """Leave an attribute out of every slice."""
    return lambda ds, _: delattr(ds, keyword)


def shifted(x_mm: float, y_mm: float, z_mm: float) -> ChangeSlice:
    """Move the third slice, in LPS."""

    def change(ds: Dataset, k: int) -> None:
        if k == 2:
            moved = np.array(ds.ImagePositionPatient, dtype=float) + np.array([x_mm, y_mm, z_mm])
            ds.ImagePositionPatient = [f"{value:.6f}" for value in moved]

    return change


def _set(ds: Dataset, values: dict[str, Any]) -> None:
    for keyword, value in values.items():
        setattr(ds, keyword, value)
