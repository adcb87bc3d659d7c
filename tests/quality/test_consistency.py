"""Other views and the way back: planes lie where they should, known networks give known figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Domain
from medcyclegan.imaging.preprocessing import prepare
from medcyclegan.imaging.resampling import AXIAL, CORONAL, SAGITTAL
from medcyclegan.inference.slab_orientation import Run, View, view_of
from medcyclegan.models.store import Model
from medcyclegan.quality.consistency import (
    Seen,
    cycle_information,
    planes_across,
    planes_in,
    resized,
    shared,
    squared,
    view_disagreement_hu,
)
from tests.image_factory import OBLIQUE
from tests.tiny_model import HU_WINDOW, head_on, identity_model, model_of, scan_of, tiny_task

CPU = torch.device("cpu")


def translated(geometry: Geometry, model: Model, *, normal: int = AXIAL) -> tuple[View, list[Seen]]:
    mr, mask = head_on(geometry, radius_mm=50.0)
    run = Run(CPU, None, torch.no_grad())
    view = view_of(scan_of(mr), mask, model, normal=normal, run=run)
    return view, planes_in(view, mask)


GEOMETRIES = {
    "cubes": geometry_from_spacing((34, 36, 35), (4.0, 4.0, 4.0)),
    "thick slices": geometry_from_spacing((34, 36, 14), (4.0, 4.0, 9.0)),
}


@pytest.mark.parametrize("normal", [SAGITTAL, CORONAL, AXIAL])
def test_planes_are_what_a_view_along_their_normal_is_given(normal: int) -> None:
    mr, mask = head_on(GEOMETRIES["cubes"], radius_mm=50.0)
    model = identity_model()
    first = prepare(mr, mask, model.task, normal=normal)
    worlds = [normal, *(world for world in range(3) if world != normal)]
    for plane in planes_across(first.geometry):
        other = prepare(mr, mask, model.task, normal=worlds[plane.axis]).values
        slab = plane.slab(first.values, 3)
        assert torch.equal(slab, other[plane.index - 1 : plane.index + 2])


def test_the_mask_is_found_on_oblique_planes_too() -> None:
    affine = OBLIQUE.copy()
    affine[:3, :3] *= 2.5
    affine[:3, 3] = -affine[:3, :3] @ np.array([23.5, 24.5, 5.5])
    view, planes = translated(Geometry((48, 50, 12), affine), identity_model(thick_slice_mm=5.0))
    grid = view.ready.geometry
    index = np.stack(np.indices(grid.shape), axis=-1).astype(float)
    true = np.linalg.norm(grid.to_world(index), axis=-1) < 50.0
    assert [plane for plane, _ in planes] == list(planes_across(grid))
    for plane, found in planes:
        wanted = plane.slab(torch.from_numpy(true), 1)[0].numpy()
        assert 2.0 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.9


@pytest.mark.parametrize("name", GEOMETRIES)
def test_views_agree_where_the_network_treats_them_alike(name: str) -> None:
    view, planes = translated(GEOMETRIES[name], identity_model())
    agreed = view_disagreement_hu(view, planes, identity_model(), device=CPU)
    assert agreed is not None
    assert agreed < 15.0  # of 3000; what interpolation between thick slices loses at the border
    # The control: a network that adds a ramp along the rows, which are others in each view.
    leaning = identity_model()
    leaning = Model(leaning.card, Lean())
    view, planes = translated(GEOMETRIES[name], leaning)
    apart = view_disagreement_hu(view, planes, leaning, device=CPU)
    assert apart is not None
    assert apart > 100.0


class Lean(nn.Module):
    """Adds a ramp along the rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.linspace(-0.5, 0.5, x.shape[3])


def test_too_few_slices_give_no_sign() -> None:
    few = geometry_from_spacing((34, 36, 5), (4.0, 4.0, 9.0))
    view, planes = translated(few, identity_model())
    model, back = identity_model(), way_back(nn.Identity())
    assert view_disagreement_hu(view, planes, model, device=CPU) is None
    assert cycle_information(view, planes, model, back, device=CPU) is None


def way_back(generator: nn.Module) -> Model:
    ct = Domain(modality="CT", unit="HU", scaling=HU_WINDOW)
    mr = Domain(modality="MR", unit="a.u.", scaling=HU_WINDOW)
    return model_of(generator, tiny_task(source=ct, target=mr))


class Inverted(nn.Module):
    """Another contrast: dark where the input is bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -x


class Blind(nn.Module):
    """Something that has nothing to do with the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0


def test_the_way_back_counts_whatever_the_contrast() -> None:
    view, planes = translated(GEOMETRIES["cubes"], identity_model())

    def back(generator: nn.Module) -> float:
        found = cycle_information(view, planes, identity_model(), way_back(generator), device=CPU)
        assert found is not None
        return found

    assert back(nn.Identity()) > 0.95
    assert back(Inverted()) > 0.85
    assert back(Blind()) < 0.1


def test_shared_information_of_the_same_another_and_no_signal() -> None:
    values = np.random.default_rng(1).uniform(-1.0, 1.0, 50_000).astype(np.float32)
    assert shared(values, values) == pytest.approx(1.0, abs=1e-6)
    assert shared(values, np.random.default_rng(2).permutation(values)) == pytest.approx(
        0, abs=0.01
    )
    assert shared(values, np.zeros_like(values)) is None
    assert shared(values, values * 1.001) is not None


def test_pixels_are_squares_and_come_back() -> None:
    view, _ = translated(GEOMETRIES["thick slices"], identity_model(thick_slice_mm=6.0))
    grid = view.ready.geometry
    assert grid.spacing_mm[0] == pytest.approx(9.0)
    for plane in planes_across(grid):
        slab = plane.slab(view.ready.values, 3)
        square = squared(slab, plane, grid)
        assert square.shape[2] == 26  # 11 steps of 9 mm, as steps of 4 mm
        back = resized(square, tuple(slab.shape[1:]))
        assert (back - slab).abs().mean() < 0.05
