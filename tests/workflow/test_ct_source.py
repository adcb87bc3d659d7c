"""What is said of a derived skull or map depends on where its HU come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medcyclegan.core.volume import Volume
from medcyclegan.io.read import read_scan
from medcyclegan.workflow.ct_source import DerivedFrom
from medcyclegan.workflow.skull_output import skull_warning
from tests.dicom_factory import make_series
from tests.workflow.test_derive import write_ct


def read(path: Path) -> DerivedFrom:
    scan = read_scan(path, modality="CT")
    return DerivedFrom(scan.volume, scan, path)


def beside(image: Path, **facts: str) -> None:
    """The sidecar that medcyclegan writes, with what it tells."""
    content = {"GeneratedBy": [{"Name": "medcyclegan"}], "medcyclegan": facts}
    image.with_name(image.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(content))


def series(folder: Path, **values: str) -> Path:
    def change(ds: object, k: int) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    make_series(folder, modality="CT", changes=change)
    return folder


def test_of_an_acquired_ct_nothing_synthetic_is_said(tmp_path: Path) -> None:
    aligned = write_ct(tmp_path / "aligned.nii.gz")
    beside(aligned, transform="aligned.tfm")  # registered by medcyclegan, and acquired
    phantom = series(tmp_path / "phantom", SyntheticData="YES", Manufacturer="medcyclegan",
                     ManufacturerModelName="")  # fmt: skip
    for path in (write_ct(tmp_path / "ct.nii.gz"), aligned, series(tmp_path / "s"), phantom):
        ct = read(path)
        assert (ct.name, ct.is_of_a_model) == ("a CT", False)
        said = skull_warning(ct)
        assert "model" not in said
        assert "synthetic" not in said
        assert "tube voltage, kernel" in said


def test_of_a_synthetic_ct_it_is_said_where_header_or_sidecar_tell(tmp_path: Path) -> None:
    made = write_ct(tmp_path / "t1_sct.nii.gz")
    beside(made, model="head-mr-ct")
    for path in (made, series(tmp_path / "s", SyntheticData="YES")):
        assert "a synthetic CT are a model's guess" in skull_warning(read(path))


@pytest.mark.parametrize(("modality", "what"), [("MR", "synthetic CT"), ("CT", "translated CT")])
def test_what_is_derived_in_one_go_is_named_by_its_source(
    tmp_path: Path, modality: str, what: str
) -> None:
    scan = read_scan(write_ct(tmp_path / "in.nii.gz"), modality=modality)
    image = Volume(scan.volume.voxels, scan.volume.geometry, "HU")
    ct = DerivedFrom(image, scan, tmp_path / "out.nii.gz")
    assert f"the {what} out.nii.gz are a model's guess" in skull_warning(ct)
