"""The skull of made heads: thickness and density ratio by hand, sides told apart, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.skull import Region, directions, find_skull, regions_of
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import Run

CORTICAL_HU, DIPLOE_HU = 1500.0, 600.0


def head(spacing_mm: float = 1.5, *, thicker_left_mm: float = 0.0, diploe: bool = True) -> Volume:
    """A ball of tissue in a shell of bone from 60 mm on, 8 mm thick, more at its left side."""
    count = int(170 / spacing_mm)
    grid = geometry_from_spacing((count,) * 3, (spacing_mm,) * 3)
    affine = grid.affine_ras.copy()
    affine[:3, 3] = -0.5 * spacing_mm * (count - 1)
    geometry = Geometry((count,) * 3, affine)
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(np.float64))
    radius = np.linalg.norm(world, axis=-1)
    outer = 68.0 + thicker_left_mm * (world[..., 0] < 0)
    hu = np.where(radius < 78.0, 40.0, -1000.0)
    is_bone = (radius >= 60.0) & (radius < outer)
    hu[is_bone] = CORTICAL_HU
    if diploe:
        hu[(radius >= 62.5) & (radius < outer - 2.5)] = DIPLOE_HU
    return Volume(hu.astype(np.float32), geometry, "HU")


def by_name(regions: tuple[Region, ...]) -> dict[str, Region]:
    return {region.name: region for region in regions}


def test_a_shell_has_its_thickness_and_its_ratio() -> None:
    skull = find_skull(head())
    vault = by_name(skull.regions)["vault"]
    assert vault.rays > 2000
    assert vault.thickness_mean_mm == pytest.approx(8.0, abs=0.75)  # half a voxel
    assert vault.sdr == pytest.approx(DIPLOE_HU / CORTICAL_HU, abs=0.08)
    assert vault.cortical_hu == pytest.approx(CORTICAL_HU, rel=0.05)
    world = skull.mask.geometry.to_world(np.argwhere(skull.mask.voxels > 0).astype(float))
    radius = np.linalg.norm(world, axis=1)
    assert (radius.min(), radius.max()) == pytest.approx((60.0, 68.0), abs=1.0)
    seen = skull.thickness.voxels > 0
    assert (skull.mask.voxels[seen] > 0).all()
    assert not seen[:, :, : seen.shape[2] // 2].any()  # the vault is above the middle
    solid = find_skull(head(diploe=False))  # the control: without diploe no ratio below 1
    assert by_name(solid.regions)["vault"].sdr == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("flipped", [(), (0,), (0, 1)])
def test_the_thicker_side_is_the_patients_left_in_any_order_of_voxels(
    flipped: tuple[int, ...],
) -> None:
    ct = head(2.0, thicker_left_mm=4.0)
    affine = ct.geometry.affine_ras.copy()
    for axis in flipped:
        affine[:3, 3] += affine[:3, axis] * (ct.geometry.shape[axis] - 1)
        affine[:3, axis] *= -1.0
    turned = Volume(np.flip(ct.voxels, flipped), Geometry(ct.geometry.shape, affine), "HU")
    found = by_name(find_skull(turned).regions)
    assert found["left"].thickness_mean_mm == pytest.approx(12.0, abs=1.2)
    assert found["right"].thickness_mean_mm == pytest.approx(8.0, abs=1.2)


def test_directions_are_spread_evenly_over_the_regions() -> None:
    ways = directions()
    assert np.allclose(np.linalg.norm(ways, axis=1), 1.0)
    names = regions_of(np.array([[0, 1, 0.1], [0, -1, 0.1], [-1, 0, 0.1], [1, 0, 0.1], [0, 0, 1]]))
    assert names.tolist() == ["front", "back", "left", "right", "top"]
    shares = [float((regions_of(ways) == name).mean()) for name in ("front", "back", "left")]
    assert max(shares) - min(shares) < 0.01


@pytest.mark.parametrize("hu", [40.0, 1500.0])
def test_what_encloses_no_head_is_refused(hu: float) -> None:
    ct = head(4.0)
    ball = np.where(ct.voxels > -500, hu, -1000.0).astype(np.float32)
    with pytest.raises(InputRefused, match="No skull is found"):
        find_skull(ct.with_voxels(ball))


def test_the_command_writes_mask_thickness_and_table_with_its_warning(
    run: Run, tmp_path: Path
) -> None:
    source = tmp_path / "head.nii.gz"
    write_nifti(head(3.0), source_header=ItkSourceHeader(), to=source)
    code, out, err = run("derive", source, "--to", "skull")
    assert code == 0
    assert "density ratio" in out
    assert "compare ratios of one protocol alone" in err  # those of a model: test_ct_source
    given = nibabel.load(source)
    for name in ("head_skull.nii.gz", "head_skull_thickness.nii.gz"):
        made = nibabel.load(tmp_path / name)
        assert np.array_equal(made.affine, given.affine)
    with (tmp_path / "head_skull.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"vault", "front", "back", "left", "right", "top"}
    assert float(rows["vault"]["thickness_mean_mm"]) == pytest.approx(8.0, abs=1.5)
    said = json.loads(run("derive", source, "--to", "skull", "--overwrite", "--json")[1])
    assert said["regions"][0]["name"] == "vault"
    assert len(said["all_written"]) == 3
    (tmp_path / "own.csv").write_text("hu,value\n0,1\n1,2\n", encoding="utf-8")
    assert run("derive", source, "--to", "skull", "--curve", tmp_path / "own.csv")[0] == 2
