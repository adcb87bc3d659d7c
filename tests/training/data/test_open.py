"""Folders of anything are opened once, split by subject, and every unfit file is named at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.find import find_inputs
from medcyclegan.training.data.inputs import wanted_of
from medcyclegan.training.data.open import open_data
from tests.dicom_factory import make_series
from tests.training.data.data_factory import (
    CT,
    MR,
    PICTURES,
    config,
    ct_values,
    heads,
    inside,
    mr_values,
    write_picture,
    write_volume,
)


def head_in_dicom(ds: Dataset, k: int) -> None:
    """Put a slice of the head into a slice of ``SHAPE``, as the stored values of a CT."""
    values = ct_values(5)[:, :, k] + 1024.0
    ds.PixelData = np.ascontiguousarray(values.T).astype("<u2").tobytes()


def dicom_head(folder: Path, *, modality: str = "CT") -> list[Path]:
    """A series of the head on a grid of 5 mm."""
    return make_series(
        folder,
        shape=inside().shape,
        affine_ras=np.diag([-5.0, -5.0, 5.0, 1.0]),
        modality=modality,
        changes=head_in_dicom,
    )


def test_mixed_formats_at_any_depth(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    write_volume(tmp_path / "a" / "deep" / "down" / "x.nii", mr_values(9))
    write_volume(tmp_path / "b" / "y.nii.gz", ct_values(8))
    for path in dicom_head(tmp_path / "b" / "p" / "series"):
        path.rename(path.with_suffix(".IMA"))
    dicom_head(tmp_path / "b" / "q" / "mr", modality="MR")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "a" / ".hidden.png").write_bytes(b"no")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    seen: list[tuple[int, int]] = []
    data = open_data(config(), folders, seed=0, progress=lambda *n: seen.append(n))
    assert seen == [(n, 5) for n in range(1, 6)]
    assert data.summary.a.formats == {"NIfTI": 2}
    assert data.summary.b.formats == {"DICOM": 1, "NIfTI": 2}
    assert data.summary.b.values[0] == -1000.0
    assert 500.0 < data.summary.b.values[1] <= 600.0
    assert data.summary.b.shape[0] == (30, 30)
    said = " ".join(data.summary.warnings)
    assert "files ending in .txt passed over: 1" in said
    assert "links to folders passed over: 1" in said
    assert "DICOM images of modality MR passed over: 24" in said
    assert data.train[0].a.shape == (3, 20, 20)
    inputs = find_inputs(tmp_path / "b", wanted_of(config(), "b", shared=False)).inputs
    assert [found.name for found in inputs] == ["ct00", "p/series", "y"]
    assert "4711" not in inputs[1].subject


def test_every_unfit_file_is_named_at_once(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=2)
    open_data(config(), folders, seed=0)  # the control: without the unfit ones it opens
    (tmp_path / "a" / "cut.nii.gz").write_bytes(
        (tmp_path / "a" / "mr00_t1.nii.gz").read_bytes()[:300]
    )
    (tmp_path / "a" / "empty.mha").write_bytes(b"")
    write_volume(tmp_path / "a" / "ct.nii", ct_values(3))
    write_volume(tmp_path / "b" / "flat.nii", np.full((9, 9, 9), 7, np.float32))
    write_picture(tmp_path / "b" / "grey.png", 0)
    slices = dicom_head(tmp_path / "b" / "gap")
    slices[7].unlink()
    damaged = dicom_head(tmp_path / "b" / "damaged")
    damaged[3].write_bytes(damaged[3].read_bytes()[:200])
    with pytest.raises(InputRefused) as caught:
        open_data(config(), folders, seed=0)
    lines = str(caught.value).splitlines()
    expected = {
        "cut.nii.gz": "truncated",
        "empty.mha": "empty",
        "a/ct.nii": "looks like a CT",
        "flat.nii": "every voxel",
        "grey.png": "has the unit HU",
        "b/gap": "one may be missing",
        damaged[3].name: "DICOM",
    }
    for name, reason in expected.items():
        assert [line for line in lines if name in line and reason in line], (name, lines)
    assert "cannot be used" in lines[0]
    assert "Take these files out" in lines[-1]
    assert "mr00" not in str(caught.value)


def test_a_subject_is_never_on_both_sides_of_the_split(tmp_path: Path) -> None:
    for subject in range(6):
        for number in range(4):
            for side in ("a", "b"):
                seed = 100 * subject + 10 * number + (side == "b")
                write_picture(tmp_path / side / f"s{subject}_{number}.png", seed)
    folders = Folders(tmp_path / "a", tmp_path / "b")
    wanted = config(a=PICTURES, b=PICTURES, depth=1, validation_share=0.3)
    data = open_data(wanted, folders, seed=4)
    held = {case.name.split("_")[0] for case in data.validation}
    trained = {case.name.split("_")[0] for case in data.train.side_a.cases}  # type: ignore[attr-defined]
    trained |= {case.name.split("_")[0] for case in data.train.side_b.cases}  # type: ignore[attr-defined]
    assert len(held) == 2
    assert not held & trained
    assert data.summary.a.validation_inputs == 8
    # the control: with every file for a subject of its own, slices of one are on both sides
    by_file = open_data(wanted.model_copy(update={"subjects": "file"}), folders, seed=4)
    held = {case.name.split("_")[0] for case in by_file.validation}
    assert held & {case.name.split("_")[0] for case in by_file.train.side_a.cases}  # type: ignore[attr-defined]


def test_a_subject_or_a_file_in_both_folders_is_refused(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=2)
    other = heads(tmp_path / "held", a=0, b=0)
    held = Folders(folders.a, folders.b, tmp_path / "va", tmp_path / "vb")
    assert other.a != held.a
    write_volume(tmp_path / "va" / "mr00_t2.nii", mr_values(50))
    write_volume(tmp_path / "vb" / "new.nii", ct_values(51))
    with pytest.raises(InputRefused, match=r"training and in validation: 1 \(mr00\)"):
        open_data(config(), held, seed=0)
    assert len(open_data(config(subjects="file"), held, seed=0).validation) == 2
    (tmp_path / "va" / "mr00_t2.nii").rename(tmp_path / "va" / "fresh.nii")
    assert len(open_data(config(), held, seed=0).validation) == 2  # the control
    shutil.copy(folders.a / "mr01_t1.nii.gz", tmp_path / "va" / "copy.nii.gz")
    with pytest.raises(InputRefused, match=r"same image(.|\n)*copy\.nii\.gz and .*mr01_t1"):
        open_data(config(subjects="file"), held, seed=0)


def test_what_cannot_be_a_training_is_refused(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="hold no CT images"):
        open_data(config(), Folders(folders.a, tmp_path / "empty"), seed=0)
    with pytest.raises(InputRefused, match="is no folder"):
        open_data(config(), Folders(folders.a, tmp_path / "none"), seed=0)
    with pytest.raises(UsageError, match="Only one folder"):
        Folders(folders.a, folders.b, validation_a=folders.a)
    with pytest.raises(UsageError, match="without a folder"):
        open_data(config(cache="disk"), folders, seed=0)
    data = open_data(config(validation_share=0.5), folders, seed=0)
    assert "No subject is held back" in data.summary.warnings[-1]


def test_sixteen_bits_do_not_fit_a_window_of_eight(tmp_path: Path) -> None:
    for side in ("a", "b"):
        write_picture(tmp_path / side / "x.png", 0)
    wanted = config(a=PICTURES, b=PICTURES, depth=1)
    folders = Folders(tmp_path / "a", tmp_path / "b")
    open_data(wanted, folders, seed=0)
    pixels = np.linspace(300, 65535, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a" / "deep.png")
    with pytest.raises(InputRefused, match=r"deep\.png: values from 300 to 65535"):
        open_data(wanted, folders, seed=0)


def test_a_series_with_gaps_comes_slice_by_slice_where_that_is_the_same(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    slices = dicom_head(tmp_path / "b" / "L067")
    slices[7].unlink()
    with pytest.raises(InputRefused, match="one may be missing"):
        open_data(config(), folders, seed=0)
    by_body = {**CT, "scaling": MR["scaling"]}
    with pytest.raises(InputRefused, match="one may be missing"):
        open_data(config(depth=1, b=by_body), folders, seed=0)
    data = open_data(config(depth=1), folders, seed=0)
    shown = inside().any(axis=(0, 1)).sum()
    # slices of air are left out, and of the outermost ones what is but a speck
    assert shown - 4 <= data.summary.b.training_inputs - 1 <= shown - 1
    assert data.summary.b.training_subjects == 2
