"""What other people's programs say of a written CT series: validators, readers, a network node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from highdicom._standard_utils import (
    get_iod_module_map,
    get_module_attribute_map,
    get_sop_class_iod_map,
)
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medcyclegan.core.geometry import Geometry
from tests.dicom_derived import dciodvfy_errors, run
from tests.peers import storescu

# float32 headers of NIfTI and the digits that dcm2niix keeps, at lengths of some 100 mm.
NIFTI_TOLERANCE_MM = 1e-3
# ITK makes the direction along k from two positions, of numbers with 14 digits and more.
ITK_TOLERANCE_MM = 1e-6
_PRESENT = {"1": "is absent or empty", "2": "is absent"}


@dataclass(frozen=True)
class Image:
    """Voxels (i, j, k) and their affine to RAS mm, as some reader gives them."""

    voxels: NDArray[np.float64]
    affine_ras: NDArray[np.float64]


def module_faults(ds: Dataset) -> list[str]:
    """Attributes of type 1 and 2 that the modules an IOD must have want, and that are not there.

    Sequences are gone into as far as the data set has them.
    """
    iod = get_sop_class_iod_map()[ds.SOPClassUID]
    wanted = get_module_attribute_map()
    faults = []
    for module in get_iod_module_map()[iod]:
        if module["usage"] != "M":
            continue
        for attribute in wanted[module["key"]]:
            if attribute["type"] not in _PRESENT:
                continue
            for place in _items(ds, attribute["path"]):
                if _is_missing(place, attribute["keyword"], attribute["type"]):
                    name = ".".join([*attribute["path"], attribute["keyword"]])
                    faults.append(f"{module['key']}: {name} {_PRESENT[attribute['type']]}")
    return faults


def _items(ds: Dataset, path: list[str]) -> list[Dataset]:
    places = [ds]
    for keyword in path:
        places = [item for place in places for item in place.get(keyword) or []]
    return places


def _is_missing(ds: Dataset, keyword: str, kind: str) -> bool:
    return keyword not in ds or (kind == "1" and ds[keyword].is_empty)


def validator_errors(folder: Path, sources: list[Path]) -> list[str]:
    """Errors of dciodvfy and of highdicom's tables in any slice, and of dcentvfy over all."""
    paths = sorted(folder.glob("*.dcm"))
    assert paths
    found = dciodvfy_errors(folder)
    report = run("dcentvfy", *[path for path in sources if _is_for_dcentvfy(path)], *paths)
    found += [line for line in report.splitlines() if line.startswith("Error")]
    found += [fault for path in paths for fault in module_faults(dcmread(path))]
    return found


def _is_for_dcentvfy(path: Path) -> bool:
    """It cannot read deflated files."""
    syntax = dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    return bool(syntax != DeflatedExplicitVRLittleEndian)


def with_pydicom(folder: Path) -> Image:
    """Read a series by the text of the standard (PS3.3 C.7.6.2), in the order of InstanceNumber."""
    slices = sorted(map(dcmread, folder.glob("*.dcm")), key=lambda ds: int(ds.InstanceNumber))
    first, last = slices[0], slices[-1]
    across, down = np.reshape(np.array(first.ImageOrientationPatient, dtype=float), (2, 3))
    row_mm, column_mm = (float(mm) for mm in first.PixelSpacing)
    position, end = (np.array(ds.ImagePositionPatient, dtype=float) for ds in (first, last))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = across * column_mm, down * row_mm, position
    affine[:3, 2] = np.cross(across, down) * float(first.SliceThickness or 1)
    if len(slices) > 1:
        affine[:3, 2] = (end - position) / (len(slices) - 1)
    voxels = [
        ds.pixel_array.T * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices
    ]
    return Image(np.stack(voxels, axis=-1), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def with_simpleitk(folder: Path) -> Image:
    """Read a series in the order that GDCM finds."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    voxels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    return Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def with_dcm2niix(folder: Path, to: Path) -> Image:
    """Convert a series, neither cropped nor turned."""
    to.mkdir()
    run("dcm2niix", "-b", "n", "-z", "n", "-x", "i", "-f", "image", "-o", to, folder)
    (path,) = to.glob("*.nii")
    image = nib.load(path)
    return Image(np.asarray(image.dataobj, dtype=float), image.affine)


def worst(image: Image, voxels: NDArray[np.float32], geometry: Geometry) -> tuple[float, float]:
    """(HU, mm): the largest differences from what was written, at the same places."""
    canonical = [
        nib.as_closest_canonical(nib.Nifti1Image(values.astype(np.float64), affine))
        for values, affine in (
            (image.voxels.reshape(voxels.shape), image.affine_ras),
            (voxels, geometry.affine_ras),
        )
    ]
    theirs, ours = (np.asarray(one.dataobj) for one in canonical)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(ours.shape) - 1)
    places = [nib.affines.apply_affine(one.affine, corners) for one in canonical]
    return float(np.abs(theirs - ours).max()), float(np.abs(places[0] - places[1]).max())


def send(folder: Path, port: int) -> str:
    """Send a folder's files to the node; returns what storescu says, which is nothing if well."""
    done = storescu(folder, port)
    return (done.stdout + done.stderr).strip()
