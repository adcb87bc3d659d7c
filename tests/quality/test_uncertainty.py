"""The map of uncertainty: it changes nothing, ranks errors that it can know of, is calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom import dcmread
from scipy.stats import spearmanr

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.io.read import read_scan
from medcyclegan.models.card import SpreadCalibration
from medcyclegan.models.store import Model, load_model
from medcyclegan.quality.uncertainty import (
    NOT_CALIBRATED,
    Spread,
    expected_error,
)
from medcyclegan.workflow.convert import Request, convert
from medcyclegan.workflow.synthesize import Options, synthesize
from tests.cli.conversion_inputs import provenance, write_mr
from tests.dicom_derived import dciodvfy_errors
from tests.tiny_model import head_on, identity_model, scan_of, tiny_folder
from tests.tiny_tasks import task_of

GEOMETRY = geometry_from_spacing((34, 36, 35), (4.0, 4.0, 4.2))
LINE = SpreadCalibration(spread=(0.0, 500.0), error=(10.0, 1010.0), fitted_on="tests")


class Unsure(torch.nn.Module):
    """Water everywhere, and a ramp along the rows where the input is bright: views differ there."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linspace(0.1, 0.4, x.shape[3]) * (x > 0.07)


def test_the_spread_is_the_standard_deviation() -> None:
    noise = np.random.default_rng(1).normal(-900.0, 50.0, (7, 4, 5))
    images = noise.astype(np.float32)
    spread = Spread()
    for image in images:
        spread.add(image)
    true = images.std(axis=0, ddof=1)
    np.testing.assert_allclose(spread.result(), true, rtol=1e-5)
    np.testing.assert_allclose(expected_error(spread.result(), LINE), 10.0 + 2.0 * true, rtol=1e-5)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_image_is_the_same_to_the_last_bit(views: int, mirror: bool) -> None:
    model = Model(identity_model(mirror=mirror).card, Unsure())
    mr, mask = head_on(GEOMETRY, radius_mm=50.0)
    plain, mapped = (
        synthesize(
            scan_of(mr), model,
            options=Options(device="cpu", views=views, mask=mask, uncertainty=on),
        )
        for on in (False, True)
    )  # fmt: skip
    assert np.array_equal(plain.image.voxels, mapped.image.voxels)
    assert plain.uncertainty is None
    assert mapped.uncertainty is not None
    assert mapped.uncertainty.geometry == mr.geometry
    assert NOT_CALIBRATED in mapped.warnings
    assert NOT_CALIBRATED not in plain.warnings


def test_it_is_large_where_the_network_is_unsure_and_a_shuffled_map_is_not() -> None:
    card = identity_model().card.model_copy(update={"uncertainty": LINE})
    mr, mask = head_on(GEOMETRY, radius_mm=50.0)
    bright = np.arange(mr.geometry.shape[0]) >= 17
    signal = mask.voxels * np.where(bright, 900.0, 200.0)[:, None, None]
    done = synthesize(
        scan_of(mr.with_voxels(signal.astype(np.float32))), Model(card, Unsure()),
        options=Options(device="cpu", mask=mask, uncertainty=True),
    )  # fmt: skip
    assert done.uncertainty is not None
    inside = mask.voxels > 0
    error = np.abs(done.image.voxels - 500.0)[inside].astype(float)  # 500 HU is 0 in the window
    found = done.uncertainty.voxels[inside].astype(float)
    assert found.min() >= LINE.error[0]
    assert spearmanr(found, error).statistic > 0.4
    assert abs(spearmanr(np.random.default_rng(1).permutation(found), error).statistic) < 0.05


def test_a_single_slice_is_refused() -> None:
    mr, mask = head_on(geometry_from_spacing((40, 40, 1), (3.0, 3.0, 8.0)))
    options = Options(device="cpu", mask=mask, uncertainty=True)
    with pytest.raises(InputRefused, match=r"single slice.*leave out --uncertainty"):
        synthesize(scan_of(mr), identity_model(), options=options)


@pytest.mark.parametrize(
    ("name", "beside"),
    [("head.nii", "head_sct_uncertainty.nii"), ("head.mha", "head_sct_uncertainty.mha"),
     ("series 1.2", "series 1.2_sct_uncertainty")],
)  # fmt: skip
def test_every_format_has_its_map_beside(tmp_path: Path, name: str, beside: str) -> None:
    folder = tmp_path
    source = write_mr(folder / name)
    model = load_model(tiny_folder(folder / "tiny", uncertainty=LINE))
    done = convert(
        Request(source, uncertainty=True),
        model,
        provenance=provenance(),
        options=Options(device="cpu"),
    )
    assert done.uncertainty == folder / beside
    found = read_scan(done.output).volume
    assert done.synthesis.uncertainty is not None
    if done.uncertainty.is_dir():
        _check_series(done.output, done.uncertainty, done.synthesis.uncertainty.voxels)
        return
    mapped = read_scan(done.uncertainty).volume
    assert mapped.geometry.same_grid(found.geometry)
    assert np.abs(mapped.voxels - done.synthesis.uncertainty.voxels).max() <= 0.51


def _check_series(image: Path, mapped: Path, voxels: np.ndarray) -> None:
    """The map is no CT, lies where the CT lies, belongs to its study, and holds its HU."""
    ct, uq = (
        [dcmread(path) for path in sorted(folder.glob("*.dcm"))] for folder in (image, mapped)
    )
    assert len(ct) == len(uq)
    for one, other in zip(ct, uq, strict=True):
        assert (one.Modality, other.Modality) == ("CT", "OT")
        assert other.SOPClassUID.name == "Secondary Capture Image Storage"
        assert other.SeriesInstanceUID != one.SeriesInstanceUID
        assert other.SOPInstanceUID != one.SOPInstanceUID
        assert other.SeriesNumber == one.SeriesNumber + 1
        assert "KVP" not in other
        assert (other.RescaleType, other.RescaleSlope, other.RescaleIntercept) == ("HU", 1, 0)
        assert "Uncertainty in HU" in other.SeriesDescription
        assert "expected absolute error" in other.DerivationDescription
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient",
                        "ImageOrientationPatient", "PixelSpacing", "PatientID"):  # fmt: skip
            assert other[keyword].value == one[keyword].value, keyword
    assert len({ds.SOPInstanceUID for ds in uq}) == len(uq)
    stored = sum(int(ds.pixel_array.astype(int).sum()) for ds in uq)
    assert stored == pytest.approx(float(np.rint(voxels).sum()), rel=1e-3)
    assert dciodvfy_errors(mapped) == []


def test_a_map_in_dicom_of_anything_but_hu_is_refused(tmp_path: Path) -> None:
    source = write_mr(tmp_path / "series")
    folder = tiny_folder(tmp_path / "tiny", task=task_of("mr-mr"))
    with pytest.raises(UsageError, match="in HU"):
        convert(Request(source, uncertainty=True), load_model(folder), provenance=provenance())
