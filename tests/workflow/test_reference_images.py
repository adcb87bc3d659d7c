"""Images and true images of a patient find each other by the rule of all other commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.workflow.reference_images import find_reference_images
from tests.tiny_tasks import task_of

GRID = geometry_from_spacing((4, 4, 4), (1.0, 1.0, 1.0))


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.arange(64, dtype=np.float32).reshape(GRID.shape)
    write_nifti(Volume(voxels, GRID, "a.u."), source_header=ItkSourceHeader(), to=path)


@pytest.mark.parametrize(
    ("image", "truth"),
    [("p01_t1", "p01_ct"), ("p01/mr", "p01/ct"), ("p01", "p01"), ("ward/p01_mr", "ward/ct_p01"),
     ("p01_t1", "cts/p01_ct")],
)  # fmt: skip
def test_names_of_one_patient_are_a_pair(tmp_path: Path, image: str, truth: str) -> None:
    save(tmp_path / "images" / f"{image}.nii.gz")
    save(tmp_path / "pairs" / f"{truth}.nii.gz")
    found = find_reference_images(
        tmp_path / "images", task_of("mr-ct"), data="heads", pairs=tmp_path / "pairs"
    )
    assert list(found.truths) == [found.images[0].name]


@pytest.mark.parametrize(("image", "other"), [("p01_t1", "p02_ct"), ("p01/mr", "p02/ct")])
def test_names_of_two_patients_are_none(tmp_path: Path, image: str, other: str) -> None:
    save(tmp_path / "images" / f"{image}.nii.gz")
    save(tmp_path / "pairs" / f"{other}.nii.gz")
    with pytest.raises(InputRefused, match="belong to no image"):
        find_reference_images(
            tmp_path / "images", task_of("mr-ct"), data="heads", pairs=tmp_path / "pairs"
        )
