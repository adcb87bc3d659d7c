"""Several images of a subject: put in order, brought onto one grid, refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Domain, Percentiles, Task
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.inference.channels import in_order, with_channels
from medcyclegan.inference.sliding_slabs import translate
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.store import load_model, save_model
from medcyclegan.networks.factory import make_generator
from medcyclegan.workflow.synthesize import Options, synthesize
from tests.cli.conversion_inputs import runner
from tests.tiny_model import TINY, head_on, model_of, scan_of, tiny_card, tiny_task

GRID = geometry_from_spacing((40, 48, 40), (4.0, 4.0, 4.0))
FINE = geometry_from_spacing((80, 96, 80), (2.0, 2.0, 2.0))


# Percentiles that the rim of a ball, where its mask on another grid is a little off, is not among.
INSIDE = Domain(modality="MR", unit="a.u.", scaling=Percentiles(lower=15.0, upper=90.0))


def two_channels() -> Task:
    source = Domain.model_validate({**INSIDE.model_dump(), "channels": ("t1", "t2")})
    return tiny_task(source=source)


class Second(nn.Module):
    """Gives the second of two channels of three slices."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 6
        return x[:, 3:]


def test_a_volume_of_several_channels_is_cut_run_and_blended() -> None:
    values = torch.rand(2, 7, 8, 9, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    device = torch.device("cpu")
    made = translate(Second(), values, depth=3, device=device)
    torch.testing.assert_close(made, values[1:], rtol=0, atol=1e-6)
    both = translate(nn.Identity(), values, depth=3, device=device)
    torch.testing.assert_close(both, values, rtol=0, atol=1e-6)
    alone = translate(nn.Identity(), values[0], depth=3, device=device)
    assert alone.shape == (7, 8, 9)


def test_the_other_image_is_brought_onto_the_first_and_scaled_by_itself() -> None:
    t1, t2 = scan_of(head_on(GRID)[0]), scan_of(head_on(FINE)[0])
    brighter = replace(t2, volume=t2.volume.with_voxels(3.0 * t2.volume.voxels, unit="a.u."))
    task = two_channels()
    found = synthesize(with_channels(t1, [brighter]), model_of(Second(), task)).image
    alone = synthesize(t1, model_of(nn.Identity(), tiny_task(source=INSIDE))).image
    assert found.geometry.same_grid(t1.volume.geometry)
    inside = head_on(GRID, radius_mm=50.0)[1].voxels > 0
    apart = np.abs(found.voxels - alone.voxels)[inside]
    assert float(apart.mean()) < 150.0  # HU, of 3000
    # the control: the first channel is another image
    other = replace(brighter, volume=brighter.volume.with_voxels(
        brighter.volume.voxels.max() - brighter.volume.voxels, unit="a.u."))  # fmt: skip
    turned = synthesize(with_channels(t1, [other]), model_of(Second(), task)).image
    assert float(np.abs(turned.voxels - alone.voxels)[inside].mean()) > 300.0


def test_one_image_for_two_and_two_for_one_are_refused() -> None:
    scan = scan_of(head_on(GRID)[0])
    with pytest.raises(InputRefused, match=r"1 image of the subject; the model takes 2 images, t1"):
        synthesize(scan, model_of(Second(), two_channels()))
    with pytest.raises(InputRefused, match="2 images of the subject; the model takes one image"):
        synthesize(with_channels(scan, [scan]), model_of(nn.Identity(), tiny_task()))
    with pytest.raises(UsageError, match="--uncertainty with several images"):
        synthesize(
            with_channels(scan, [scan]),
            model_of(Second(), two_channels()),
            options=Options(uncertainty=True),
        )


def test_an_image_that_lies_elsewhere_is_refused_by_name() -> None:
    scan = scan_of(head_on(GRID)[0])
    away = np.array(GRID.affine_ras)
    away[0, 3] += 300.0
    far = replace(scan, volume=replace(scan.volume, geometry=replace(GRID, affine_ras=away)),
                  source=Path("far.nii.gz"))  # fmt: skip
    with pytest.raises(InputRefused, match=r"far\.nii\.gz covers 0% of the body"):
        synthesize(with_channels(scan, [far]), model_of(Second(), two_channels()))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("a.nii", "b.nii"), ("a.nii", "b.nii")),
        (("t2=b.nii", "t1=a.nii"), ("a.nii", "b.nii")),
        (("T1=a.nii", "b.nii"), ("a.nii", "b.nii")),
        (("x=1.nii", "sub_T2w.nii"), ("x=1.nii", "sub_T2w.nii")),
        (("t1_to_t2.nii", "b.nii"), ("t1_to_t2.nii", "b.nii")),
    ],
)
def test_images_come_in_the_order_of_the_card_or_by_its_names(
    given: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert in_order(given, two_channels()) == tuple(Path(name) for name in found)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("a.nii",), r"1 image: a\.nii; the model takes 2 images, t1, t2"),
        (("a", "b", "c"), "3 images: a, b, c"),
        (("t1=a", "t1=b"), "--mri t1 twice: a and b"),
        (("a", "t1=b"), "--mri t1 twice"),
        (
            ("P1_T2w.nii.gz", "P1_T1w.nii.gz"),
            r"P1_T2w\.nii\.gz for the channel t1; its name says t2",
        ),
        (("t2=sub-t1.nii", "t1=x"), r"sub-t1\.nii for the channel t2; its name says t1"),
    ],
)
def test_missing_and_swapped_images_are_refused_by_name(given: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        in_order(given, two_channels())


def test_a_model_of_two_images_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, task = runner(monkeypatch, capsys), two_channels()
    torch.manual_seed(0)
    weights = make_generator(TINY, depth=3, channels=(2, 1)).state_dict()
    save_model(tmp_path / "model", card=tiny_card(task), weights=weights)
    assert load_model(tmp_path / "model").task.source.channels == ("t1", "t2")
    for name, grid in (("t1", GRID), ("t2", FINE)):
        write_nifti(
            head_on(grid)[0], source_header=ItkSourceHeader(), to=tmp_path / f"{name}.nii.gz"
        )
    asked = ("synth-ct", "--model", tmp_path / "model", "--device", "cpu")
    both = ("--mri", f"t2={tmp_path / 't2.nii.gz'}", "--mri", f"t1={tmp_path / 't1.nii.gz'}")
    code, _, error = run(*asked, *both, "--out", tmp_path / "sct.nii.gz")
    assert code == 0, error
    made = read_scan(tmp_path / "sct.nii.gz").volume
    assert made.geometry.same_grid(read_scan(tmp_path / "t1.nii.gz").volume.geometry)
    code, _, error = run(*asked, "--mri", tmp_path / "t1.nii.gz", "--out", tmp_path / "b.nii.gz")
    assert (code, "the model takes 2 images, t1, t2" in error) == (2, True)
