"""One scan from start to end: the output is the scan's grid bit for bit, whatever its order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Domain
from medcyclegan.core.volume import Volume
from medcyclegan.errors import DeviceError, InputRefused, UsageError
from medcyclegan.models.store import Model
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from medcyclegan.workflow.synthesize import Options, Synthesis, synthesize
from tests.image_factory import OBLIQUE, all_axis_orders
from tests.tiny_model import HU_WINDOW, head_on, identity_model, scan_of
from tests.tiny_tasks import MR_IN

SIZE = (28, 30, 29)


def centred(affine: np.ndarray, shape: tuple[int, int, int], scale: float = 1.0) -> Geometry:
    moved = affine.copy()
    moved[:3, :3] *= scale
    moved[:3, 3] = -moved[:3, :3] @ ((np.asarray(shape) - 1) / 2.0)
    moved[:3, 3] += (0.1234567891, -0.7, 0.3)  # digits that float32 would lose
    return Geometry(shape, moved, "1.2.3.4")


def run(geometry: Geometry, model: Model, **options: object) -> tuple[Volume, Synthesis]:
    mr, mask = head_on(geometry, radius_mm=50.0)
    given = Options(device="cpu", mask=mask, **options)  # type: ignore[arg-type]
    return mr, synthesize(scan_of(mr), model, options=given)


def core_error(mr: Volume, image: Volume, radius_mm: float = 36.0) -> float:
    inside = head_on(mr.geometry, radius_mm=radius_mm)[1].voxels > 0
    assert inside.sum() > 500
    return float(np.abs(image.voxels - mr.voxels)[inside].max())


@pytest.mark.parametrize("views", [1, 3])
def test_with_the_identity_the_output_is_the_input(views: int) -> None:
    geometry = geometry_from_spacing(SIZE, (4.2, 4.1, 4.4))
    model = identity_model()
    mr, done = run(geometry, model, views=views)
    assert core_error(mr, done.image) < 1.0
    assert done.image.unit == "HU"
    # The control: a model that mirrors its slices does not give the input.
    mirrored = Model(model.card, Mirror())
    assert core_error(mr, run(geometry, mirrored, views=views)[1].image) > 5.0


def test_slabs_start_as_far_apart_as_the_task_says() -> None:
    geometry = geometry_from_spacing(SIZE, (4.2, 4.1, 4.4))

    def slabs(stride: int) -> int:
        network = Counting()
        mr, done = run(geometry, Model(identity_model(depth=3, stride=stride).card, network))
        assert core_error(mr, done.image) < 1.0
        return network.slabs

    assert slabs(1) > 1.8 * slabs(2) > 2.4 * slabs(3)


def test_slabs_of_thick_slices_start_as_far_apart_as_the_task_says_for_those() -> None:
    strides = {"depth": 3, "stride": 3, "thick_stride": 1, "thick_slice_mm": 6.0}

    def slabs(slice_mm: float, **strides: float) -> int:
        network = Counting()
        geometry = geometry_from_spacing(SIZE, (4.2, 4.1, slice_mm))
        model = Model(identity_model(**strides).card, network)
        mr, done = run(geometry, model)
        assert core_error(mr, done.image) < 1.0
        return network.slabs

    thin, thick = 4.4, 6.2
    assert slabs(thick, **strides) > 2.4 * slabs(thick, **{**strides, "thick_stride": 3})
    # The control: slices that are not thick have the stride that is not theirs.
    assert slabs(thin, **strides) == slabs(thin, **{**strides, "thick_stride": 3})


class Counting(torch.nn.Module):
    """The identity, which counts."""

    slabs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.slabs += len(x)
        return x


class Mirror(torch.nn.Module):
    """Every slice of a slab mirrored."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(3)


def test_the_output_grid_is_the_input_grid_for_all_48_orders() -> None:
    model = identity_model()
    for affine in all_axis_orders():
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        shape = tuple(round(n) for n in 124.0 / spacing / 3.0)
        geometry = centred(affine, (shape[0], shape[1], shape[2]), scale=3.0)
        mr, done = run(geometry, model)
        assert done.image.geometry == geometry
        assert np.array_equal(done.image.geometry.affine_ras, geometry.affine_ras)
        assert core_error(mr, done.image) < 2.0


@pytest.mark.parametrize("views", [1, 3])
def test_an_oblique_mirrored_grid_of_thick_slices(views: int) -> None:
    geometry = centred(OBLIQUE, (48, 50, 12), scale=2.5)
    mr, done = run(geometry, identity_model(thick_slice_mm=5.0), views=views)
    assert done.image.geometry == geometry
    assert core_error(mr, done.image) < 2.0


def test_a_sheared_grid_comes_home_too() -> None:
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[1, 2] = 1.2
    geometry = centred(affine, (30, 36, 30))
    mr, done = run(geometry, identity_model())
    assert done.image.geometry == geometry
    assert core_error(mr, done.image) < 2.0


def test_one_slice() -> None:
    geometry = geometry_from_spacing((40, 40, 1), (3.0, 3.0, 8.0))
    mr, done = run(geometry, identity_model())
    inside = head_on(geometry, radius_mm=40.0)[1].voxels > 0
    np.testing.assert_allclose(done.image.voxels[inside], mr.voxels[inside], atol=2.0)


def test_the_median_of_three_views_is_taken() -> None:
    class Count(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return torch.full_like(x, (-0.4, 0.9, 0.2)[self.calls - 1])

    geometry = geometry_from_spacing(SIZE, (4.2, 4.1, 4.4))
    card = identity_model().card
    progress: list[tuple[int, int]] = []
    mr, mask = head_on(geometry, radius_mm=50.0)
    done = synthesize(
        scan_of(mr), Model(card, Count()), options=Options(device="cpu", views=3, mask=mask),
        progress=lambda *call: progress.append(call),
    )  # fmt: skip
    assert done.image.voxels[14, 15, 14] == pytest.approx(500.0 + 0.2 * 1500.0, abs=0.01)
    assert [call[0] for call in progress] == sorted(call[0] for call in progress)
    assert progress[-1][0] == progress[-1][1]


def test_another_modality_is_refused() -> None:
    mr, mask = head_on(geometry_from_spacing(SIZE, (4.0, 4.0, 4.0)))
    options = Options(device="cpu", mask=mask)
    with pytest.raises(InputRefused, match=r"modality CT.*translates MR"):
        synthesize(scan_of(mr, modality="CT"), identity_model(), options=options)
    unsaid = synthesize(scan_of(mr, modality=""), identity_model(), options=options).image
    assert unsaid.unit == "HU"
    assert core_error(mr, unsaid) < 2.0
    ct_model = identity_model(source=Domain(modality="CT", unit="HU", scaling=HU_WINDOW))
    with pytest.raises(InputRefused, match=r"modality MR.*translates CT"):
        synthesize(scan_of(mr), ct_model, options=options)


def test_a_device_that_is_not_there_is_refused_before_any_work() -> None:
    if torch.cuda.is_available():
        pytest.skip("cuda is there")
    mr, _ = head_on(geometry_from_spacing(SIZE, (4.0, 4.0, 4.0)))
    with pytest.raises(DeviceError):
        synthesize(scan_of(mr), identity_model(), options=Options(device="cuda"))


def test_the_body_is_found_or_taken_from_a_mask_on_any_grid() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t1", seed=1)
    scan = scan_of(subject.mr)
    found = synthesize(scan, identity_model(), options=Options(device="cpu"))
    truth = subject.body_mask.voxels > 0
    overlap = (found.body.voxels > 0) & truth
    assert 2.0 * overlap.sum() / ((found.body.voxels > 0).sum() + truth.sum()) > 0.9
    assert found.seconds.keys() == {"body", "prepare", "network", "home"}

    other_grid = geometry_from_spacing((60, 60, 60), (4.0, 4.0, 4.0))
    _, small = head_on(other_grid, radius_mm=30.0)
    given = synthesize(scan, identity_model(), options=Options(device="cpu", mask=small))
    assert given.body.geometry == subject.mr.geometry
    assert (given.image.voxels > -1000.0).sum() < (found.image.voxels > -1000.0).sum() / 2


def test_bias_correction_changes_the_image_within_the_head() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t1", seed=1)
    plain, corrected = (
        synthesize(
            scan_of(subject.mr), identity_model(),
            options=Options(device="cpu", mask=subject.body_mask, bias_correction=on),
        )
        for on in (False, True)
    )  # fmt: skip
    assert corrected.image.geometry == plain.image.geometry
    assert "bias" in corrected.seconds
    assert np.abs(corrected.image.voxels - plain.image.voxels).max() > 5.0


def test_warnings_of_the_reader_are_passed_on() -> None:
    mr, mask = head_on(geometry_from_spacing(SIZE, (4.0, 4.0, 4.0)))
    scan = scan_of(mr)
    noticed = type(scan)(mr, scan.source_header, scan.source, "MR", ("Two voxels were NaN.",))
    done = synthesize(noticed, identity_model(), options=Options(device="cpu", mask=mask))
    assert done.warnings == ("Two voxels were NaN.",)


@pytest.mark.parametrize("views", [0, 2, 4])
def test_one_or_three_views_and_no_other_number(views: int) -> None:
    with pytest.raises((UsageError, ValueError)):
        Options(views=views)


class Lean(torch.nn.Module):
    """Adds a ramp along one axis of the slices: it knows left from right, or slice from slice."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(0.0, 0.5, x.shape[self.axis])
        shape = [1, 1, 1, 1]
        shape[self.axis] = -1
        return x + ramp.reshape(shape)


@pytest.mark.parametrize(("spacing_mm", "axis"), [((4.2, 4.1, 4.4), 2), ((9.0, 4.1, 4.2), 1)])
def test_a_mirrored_head_gives_the_mirrored_image_where_the_task_says_so(
    spacing_mm: tuple[float, float, float], axis: int
) -> None:
    mr, mask = head_on(geometry_from_spacing(SIZE, spacing_mm), radius_mm=50.0)
    mirrored = mr.with_voxels(mr.voxels[::-1].copy())
    options = Options(device="cpu", mask=mask)

    def apart(*, mirror: bool) -> float:
        card = identity_model(mirror=mirror).card
        one, other = (
            synthesize(scan_of(volume), Model(card, Lean(axis)), options=options).image.voxels
            for volume in (mr, mirrored)
        )
        return float(np.abs(one - other[::-1]).max())

    assert apart(mirror=True) < 0.01
    assert apart(mirror=False) > 50.0


@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e4, 1e30])
def test_signal_of_any_scale_gives_the_same(factor: float) -> None:
    geometry = geometry_from_spacing(SIZE, (4.2, 4.1, 4.4))
    model = identity_model(source=MR_IN)
    mr, _ = head_on(geometry, radius_mm=50.0)
    scaled = mr.with_voxels((mr.voxels * np.float64(factor)).astype(np.float32))
    expected, found = (
        synthesize(scan_of(volume), model, options=Options(device="cpu")) for volume in (mr, scaled)
    )
    assert np.abs(found.image.voxels - expected.image.voxels).max() < 1.0
    assert np.array_equal(found.body.voxels, expected.body.voxels)
    assert found.warnings == expected.warnings
    assert expected.image.voxels.std() > 100.0
