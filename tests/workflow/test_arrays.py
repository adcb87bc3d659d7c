"""Arrays and MetaTensors in memory give the voxels that files give, on the same grid."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, CopyItemsd, LoadImaged, Orientationd, ScaleIntensityd

import medcyclegan
from medcyclegan import SynthesizeCTd, read_scan, synthesize
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow import arrays
from medcyclegan.workflow.arrays import DOUBTS_KEY, MODEL_KEY, WARNINGS_KEY
from medcyclegan.workflow.synthesize import Options
from medcyclegan.workflow.synthesize import synthesize as synthesize_scan
from tests.tiny_model import known, tiny_folder
from tests.tiny_tasks import head_of, task_of, write_input

# MONAI tries all of its readers; one of them warns of a decoder that it does not find.
pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodec:UserWarning")

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A tiny model that makes a CT of an MR."""
    return load_model(tiny_folder(tmp_path / "tiny"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A head in a NIfTI file, its axes L, P, S."""
    return write_input(tmp_path / "head.nii.gz", "MR")


def of_file(path: Path, model: Model, **options: Any) -> np.ndarray[Any, Any]:
    """What the file gives."""
    scan = read_scan(path, modality="MR")
    return synthesize_scan(scan, model, options=Options(**options)).image.voxels


def load(path: Path, *more: Any) -> dict[str, Any]:
    """The file as MONAI's own reader loads it, under the key ``mr``."""
    reading = LoadImaged("mr", image_only=True, ensure_channel_first=True)
    return dict(Compose([reading, *more])({"mr": str(path)}))


def test_an_array_gives_an_array_with_the_voxels_of_the_file(path: Path, model: Model) -> None:
    head = read_scan(path).volume
    affine = head.geometry.affine_ras
    made = synthesize(np.asarray(head.voxels), model, affine_ras=affine)
    assert isinstance(made, np.ndarray)
    assert made.dtype == np.float32
    assert np.array_equal(made, of_file(path, model))
    with_axis = synthesize(np.asarray(head.voxels)[None], model, affine_ras=affine)
    assert np.array_equal(with_axis, made[None])
    # The control: the affine counts. Turned left for right, the network sees the mirror image.
    other = synthesize(np.asarray(head.voxels), model, affine_ras=LPS @ affine)
    assert not np.array_equal(other, made)


def test_the_array_is_left_as_it_is(path: Path, model: Model) -> None:
    head = read_scan(path).volume
    voxels = np.array(head.voxels)
    voxels[0, 0, 0] = np.nan
    before = voxels.copy()
    made = synthesize(voxels, model, affine_ras=head.geometry.affine_ras)
    assert np.array_equal(voxels, before, equal_nan=True)
    assert np.isfinite(made).all()
    made[0, 0, 0] = 1.0  # it is the caller's own


def test_a_metatensor_gives_a_metatensor_on_its_grid(path: Path, model: Model) -> None:
    image = load(path)["mr"]
    made = synthesize(image, model)
    assert isinstance(made, MetaTensor)
    assert made.shape == image.shape
    assert np.array_equal(made.numpy()[0], of_file(path, model))
    assert torch.equal(made.affine, image.affine)
    assert made.meta["filename_or_obj"] == str(path)
    assert made.meta[MODEL_KEY] == "tiny"


def test_a_metatensor_in_lps_gives_the_same(path: Path, model: Model) -> None:
    image = load(path)["mr"]
    wanted = synthesize(image, model)
    turned = MetaTensor(image.as_tensor(), affine=LPS @ image.affine.numpy(), meta={"space": "LPS"})
    assert np.array_equal(synthesize(turned, model).numpy(), wanted.numpy())
    with pytest.raises(InputRefused, match="space MNI"):
        synthesize(MetaTensor(image.as_tensor(), meta={"space": "MNI"}), model)


def test_what_was_noticed_is_logged_and_kept(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = known(body_litres=(50.0, 60.0))
    folder = tiny_folder(tmp_path / "ranged", reference_ranges=odd)
    image = load(path)["mr"]
    nowhere = MetaTensor(image.as_tensor(), affine=torch.eye(4))
    with caplog.at_level(logging.WARNING, logger="medcyclegan"):
        made = synthesize(nowhere, load_model(folder))
    assert "affine is the identity" in made.meta[WARNINGS_KEY]
    assert "affine is the identity" in caplog.text
    assert "litre" in made.meta[DOUBTS_KEY]
    assert made.meta[DOUBTS_KEY] in made.meta[WARNINGS_KEY]


def test_affines_that_are_missing_or_too_many(path: Path, model: Model) -> None:
    scan = read_scan(path)
    with pytest.raises(UsageError, match="ndarray without affine_ras"):
        synthesize(np.asarray(scan.volume.voxels), model)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="Scan with affine_ras"):
        synthesize(scan, model, affine_ras=np.eye(4))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("voxels", "said"),
    [
        (np.zeros((4, 5, 6)), "every voxel has the value 0"),
        (np.full((4, 5, 6), np.nan), "120 of 120 voxels"),
        (np.ones((4, 5)), "shape"),
        (np.ones((4, 5, 6), dtype=complex), "complex128"),
        (np.ones((4, 5, 6), dtype=bool), "bool"),
        (np.ones((0, 4, 5, 6)), "one image at least"),
        (np.full((4, 5, 6), 1e300), "cannot be held"),
    ],
)
def test_arrays_that_are_no_image(voxels: np.ndarray[Any, Any], said: str, model: Model) -> None:
    with pytest.raises(InputRefused, match=said):
        synthesize(voxels, model, affine_ras=np.eye(4))


def test_a_model_of_pictures_takes_no_array(tmp_path: Path) -> None:
    pictures = load_model(tiny_folder(tmp_path / "look", task=task_of("image-image", depth=1)))
    with pytest.raises(InputRefused, match="pictures or radiographs"):
        synthesize(np.ones((4, 5, 6)), pictures, affine_ras=np.eye(4))


def test_the_transform_runs_in_a_pipeline_and_keeps_the_input(path: Path, model: Model) -> None:
    made = load(
        path,
        CopyItemsd("mr", names="ct"),
        SynthesizeCTd("ct", model=model, device="cpu"),
    )
    assert np.array_equal(made["ct"].numpy()[0], of_file(path, model))
    assert not np.array_equal(made["mr"].numpy(), made["ct"].numpy())


def test_spatial_transforms_before_it_can_be_inverted(path: Path, model: Model) -> None:
    turn = Orientationd("mr", axcodes="RAS", labels=None)
    made = load(path, turn, SynthesizeCTd("mr", model=model))
    back = turn.inverse(made)["mr"]
    # Percentiles do not mind the order of voxels, nor the slabs: their grid is R, A, S anyway.
    assert np.array_equal(back.numpy()[0], of_file(path, model))
    assert torch.allclose(back.affine, load(path)["mr"].affine)


def test_missing_keys_and_values_that_are_no_metatensors(path: Path, model: Model) -> None:
    data = load(path)
    with pytest.raises(KeyError):
        SynthesizeCTd(["mr", "none"], model=model)(data)
    made = SynthesizeCTd(["mr", "none"], model=model, allow_missing_keys=True)(data)
    assert set(made) == set(data)
    with pytest.raises(UsageError, match="is a ndarray"):
        SynthesizeCTd("mr", model=model)({"mr": data["mr"].numpy()})


def test_a_mask_under_a_key_of_its_own_counts(path: Path, tmp_path: Path, model: Model) -> None:
    head = head_of("MR")
    inner = np.zeros_like(head.voxels)
    inner[12:22, 12:22, 8:20] = 1.0
    mask = head.with_voxels(inner, unit="mask")
    write_nifti(mask, source_header=ItkSourceHeader(), to=tmp_path / "mask.nii.gz")
    keys = ("mr", "mask")
    reading = LoadImaged(keys, image_only=True, ensure_channel_first=True)
    data = reading({"mr": str(path), "mask": str(tmp_path / "mask.nii.gz")})
    made = SynthesizeCTd("mr", model=model, mask_key="mask")(data)
    assert np.array_equal(made["mr"].numpy()[0], of_file(path, model, mask=mask))
    assert not np.array_equal(made["mr"].numpy()[0], of_file(path, model))


def test_the_model_is_opened_once_and_batches_hold_what_was_noticed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opened = tiny_folder(tmp_path / "once"), []

    def counting(name: object) -> Model:
        opened.append(name)
        return load_model(name)  # type: ignore[arg-type]

    monkeypatch.setattr(arrays, "load_model", counting)
    reading = LoadImaged("mr", image_only=True, ensure_channel_first=True)
    steps = Compose([reading, ScaleIntensityd("mr"), SynthesizeCTd("mr", model=folder)])
    loader = DataLoader(Dataset([{"mr": str(path)}] * 3, steps), batch_size=3)
    (batch,) = list(loader)
    assert batch["mr"].shape[:2] == (3, 1)
    assert opened == [folder]


def test_the_public_names_are_these() -> None:
    assert medcyclegan.synthesize is arrays.synthesize
    assert {"SynthesizeCTd", "synthesize"} <= set(medcyclegan.__all__)
