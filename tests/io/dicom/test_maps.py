"""Maps of perfusion, diffusion or materials are no HU and no MR signal, whatever their modality."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from medcyclegan import synthesize
from medcyclegan.core.task import Domain
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.scan import Scan
from medcyclegan.networks.factory import make_generator
from tests.dicom_factory import Change, make_series
from tests.tiny_model import HU_WINDOW, TINY, model_of, tiny_task

CT_MAPS = [
    ["DERIVED", "SECONDARY", "AXIAL", "CBF"],
    ["DERIVED", "PRIMARY", "PERFUSION", "RCBF"],
    ["DERIVED", "PRIMARY", "VOLUME", "EFF_ATOMIC_NUM"],
    ["DERIVED", "SECONDARY", "AXIAL", "SUBTRACTION"],
]
MR_MAPS = [
    ["DERIVED", "PRIMARY", "ADC"],
    ["DERIVED", "PRIMARY", "M", "ND", "T1 MAP"],
    ["DERIVED", "PRIMARY", "DIFFUSION", "FA"],
]


def marked(folder: Path, modality: str, image_type: list[str]) -> Scan:
    make_series(folder, modality=modality, changes=every(ImageType=image_type))
    return read_dicom(folder)


def every(**values: object) -> Change:
    def change(ds: Dataset, _: int) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


@pytest.mark.parametrize("image_type", CT_MAPS, ids="-".join)
def test_a_ct_map_has_no_hu_and_is_refused_with_the_reason(
    tmp_path: Path, image_type: list[str]
) -> None:
    scan = marked(tmp_path, "CT", image_type)
    assert scan.volume.unit == "a.u."
    ct = Domain(modality="CT", unit="HU", scaling=HU_WINDOW)
    model = model_of(make_generator(TINY, depth=3), tiny_task(source=ct))
    with pytest.raises(InputRefused, match="takes CT in HU") as refused:
        synthesize(scan, model)
    assert f"marked as {image_type[-1]} (ImageType), and not as HU" in str(refused.value)


def test_values_that_are_colours_are_no_hu(tmp_path: Path) -> None:
    make_series(tmp_path, modality="CT", changes=every(PixelPresentation="COLOR"))
    scan = read_dicom(tmp_path)
    assert scan.volume.unit == "a.u."
    assert "a map in colours" in scan.warnings[0]


@pytest.mark.parametrize("image_type", MR_MAPS, ids="-".join)
def test_an_mr_map_is_told(tmp_path: Path, image_type: list[str]) -> None:
    (warning,) = marked(tmp_path, "MR", image_type).warnings
    assert f"marked as {image_type[-1]} (ImageType), and not as MR signal" in warning


@pytest.mark.parametrize(
    ("modality", "image_type"),
    [
        ("CT", ["ORIGINAL", "PRIMARY", "AXIAL"]),
        ("CT", ["DERIVED", "SECONDARY", "MPR", "AVERAGE"]),
        ("CT", ["ORIGINAL", "PRIMARY", "PERFUSION", "NONE"]),  # the images that maps are made of
        ("CT", ["DERIVED", "PRIMARY", "VOLUME", "VMI"]),  # virtual monoenergetic images are in HU
        ("MR", ["ORIGINAL", "PRIMARY", "M", "FFE"]),
        ("MR", ["DERIVED", "PRIMARY", "M", "NORM"]),
    ],
)
def test_images_are_no_maps(tmp_path: Path, modality: str, image_type: list[str]) -> None:
    scan = marked(tmp_path, modality, image_type)
    assert scan.warnings == ()
    assert scan.volume.unit == ("HU" if modality == "CT" else "a.u.")


@pytest.mark.parametrize("slices", [range(10), range(4, 5)], ids=["all", "one of them"])
def test_synthetic_images_are_warned_of_whatever_they_are_called(
    tmp_path: Path, slices: range
) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.SeriesDescription = "t1 ax"
        if k in slices:
            ds.SyntheticData = "YES"

    make_series(tmp_path / "made", changes=change)
    assert "SyntheticData" in "".join(read_dicom(tmp_path / "made").warnings)
    # The control: acquired images, and a phantom of ours, which no model made.
    make_series(tmp_path / "plain", changes=every(SyntheticData="NO"))
    ours = every(SyntheticData="YES", Manufacturer="medcyclegan", ManufacturerModelName="")
    make_series(tmp_path / "phantom", changes=ours)
    for name in ("plain", "phantom"):
        assert read_dicom(tmp_path / name).warnings == ()
