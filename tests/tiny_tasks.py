"""A task of every kind for tiny models, and an input of every file format for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Domain, Percentiles, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import NOW, uid_maker
from tests.dicom_factory import make_series
from tests.radiographs import write_radiograph
from tests.tiny_model import HU_WINDOW, head_on, tiny_task

SHARE = Percentiles(lower=1.0, upper=99.0)
SIGNAL, GREY = Window(lower=0.0, upper=1000.0), Window(lower=0.0, upper=255.0)
MR_IN = Domain(modality="MR", unit="a.u.", scaling=SHARE)
MR_OUT = Domain(modality="MR", unit="a.u.", scaling=SIGNAL)
CT = Domain(modality="CT", unit="HU", scaling=HU_WINDOW)
CT_LOOK = Domain(modality="CT", unit="a.u.", scaling=GREY)
XR_IN = Domain(modality="XR", unit="a.u.", scaling=SHARE)
XR_OUT = Domain(modality="XR", unit="a.u.", scaling=SIGNAL)
PICTURE = Domain(modality="image", unit="a.u.", scaling=SHARE)
PICTURE_OUT = Domain(modality="image", unit="a.u.", scaling=GREY)

TASKS = {
    "mr-ct": (MR_IN, CT),
    "ct-mr": (CT, MR_OUT),
    "ct-ct": (CT, CT),
    "mr-mr": (MR_IN, MR_OUT),
    "xr-xr": (XR_IN, XR_OUT),
    "xr-ct": (XR_IN, CT_LOOK),
    "image-ct": (PICTURE, CT_LOOK),
    "image-image": (PICTURE, PICTURE_OUT),
}

GRID = geometry_from_spacing((34, 36, 28), (4.0, 4.0, 5.0), np.diag([-1.0, -1.0, 1.0]))


def task_of(name: str, **changes: Any) -> Task:
    """The task of a name in ``TASKS``."""
    source, target = TASKS[name]
    return tiny_task(**{"name": name, "source": source, "target": target, **changes})


def head_of(modality: str) -> Volume:
    """A ball of about 400 ml: MR signal, or HU with air and fat around a brighter middle."""
    mr, mask = head_on(GRID, radius_mm=60.0)
    if modality == "MR":
        return mr
    hu = np.where(mask.voxels > 0, mr.voxels - 640.0, -1000.0)
    return mr.with_voxels(hu.astype(np.float32), unit="HU")


def picture(dtype: str = "uint8") -> np.ndarray[Any, Any]:
    """(rows, columns) = (50, 44) grey values over most of what the type holds, smooth."""
    rows, columns = np.indices((50, 44))
    share = 0.5 + 0.4 * np.sin(rows / 9.0) * np.cos(columns / 7.0)
    return np.rint(share * np.iinfo(dtype).max).astype(dtype)


def write_input(path: Path, modality: str) -> Path:
    """Write an input of a task's source modality as the ending of ``path`` says; returns it.

    Without an ending: a DICOM series in a folder, or a radiograph in a file of one.
    """
    if path.suffix in (".png", ".tif", ".jpg"):
        dtype = "uint8" if path.suffix == ".jpg" else "uint16" if "16" in path.stem else "uint8"
        Image.fromarray(picture(dtype)).save(path)
    elif path.name.endswith((".nii", ".nii.gz")):
        write_nifti(head_of(modality), source_header=ItkSourceHeader(), to=path)
    elif path.suffix in (".mha", ".nrrd"):
        write_itk(head_of(modality), source_header=ItkSourceHeader(), to=path)
    elif modality == "XR":
        write_radiograph(path)
    elif modality == "CT":
        write_ct_series(path)
    else:
        write_dicom_mr(head_of("MR"), to=path, description="head", now=NOW, new_uid=uid_maker())
    return path


def write_ct_series(folder: Path, **attributes: object) -> list[Path]:
    """Write the ball's CT as a series, with ``attributes`` set in each slice."""
    stored = (np.rint(head_of("CT").voxels) + 1024).astype("<u2")

    def fill(ds: Dataset, k: int) -> None:
        ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return make_series(
        folder, shape=GRID.shape, affine_ras=GRID.affine_ras, modality="CT", changes=fill
    )
