"""Other views and the way back: planes lie where they should, known networks give known figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Domain
from medcyclegan.core.timing import Stopwatch
from medcyclegan.imaging.preprocessing import prepare
from medcyclegan.imaging.resampling import AXIAL, CORONAL, SAGITTAL
from medcyclegan.inference.slab_orientation import Run, view_of
from medcyclegan.models.store import Model
from medcyclegan.quality.consistency import (
    Translated,
    cycle_information,
    planes_across,
    resized,
    shared,
    squared,
    view_disagreement_hu,
)
from tests.image_factory import OBLIQUE
from tests.tiny_model import HU_WINDOW, head_on, identity_model, model_of, scan_of, tiny_task

CPU = torch.device("cpu")


def translated(geometry: Geometry, model: Model, *, normal: int = AXIAL) -> Translated:
    mr, mask = head_on(geometry, radius_mm=50.0)
    run = Run(CPU, None, torch.no_grad())
    view = view_of(scan_of(mr), mask, model, normal=normal, run=run, clock=Stopwatch())
    return Translated(view.ready, view.fake, mask)


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
    done = translated(Geometry((48, 50, 12), affine), identity_model(thick_slice_mm=5.0))
    grid = done.ready.geometry
    index = np.stack(np.indices(grid.shape), axis=-1).astype(float)
    true = np.linalg.norm(grid.to_world(index), axis=-1) < 50.0
    for plane in planes_across(grid):
        found = plane.inside(done.body, grid)
        wanted = plane.slab(torch.from_numpy(true), 1)[0].numpy()
        assert 2.0 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.9


@pytest.mark.parametrize("name", GEOMETRIES)
def test_views_agree_where_the_network_treats_them_alike(name: str) -> None:
    done = translated(GEOMETRIES[name], identity_model())
    agreed = view_disagreement_hu(done, identity_model(), device=CPU)
    assert agreed is not None
    assert agreed < 15.0  # of 3000; what interpolation between thick slices loses at the border
    # The control: a network that adds a ramp along the rows, which are others in each view.
    leaning = identity_model()
    leaning = Model(leaning.card, Lean())
    apart = view_disagreement_hu(translated(GEOMETRIES[name], leaning), leaning, device=CPU)
    assert apart is not None
    assert apart > 100.0


class Lean(nn.Module):
    """Adds a ramp along the rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.linspace(-0.5, 0.5, x.shape[3])


def test_too_few_slices_give_no_sign() -> None:
    done = translated(geometry_from_spacing((34, 36, 5), (4.0, 4.0, 9.0)), identity_model())
    assert view_disagreement_hu(done, identity_model(), device=CPU) is None
    assert cycle_information(done, identity_model(), way_back(nn.Identity()), device=CPU) is None


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
    done = translated(GEOMETRIES["cubes"], identity_model())

    def back(generator: nn.Module) -> float:
        found = cycle_information(done, identity_model(), way_back(generator), device=CPU)
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
    done = translated(GEOMETRIES["thick slices"], identity_model(thick_slice_mm=6.0))
    grid = done.ready.geometry
    assert grid.spacing_mm[0] == pytest.approx(9.0)
    for plane in planes_across(grid):
        slab = plane.slab(done.ready.values, 3)
        square = squared(slab, plane, grid)
        assert square.shape[2] == 26  # 11 steps of 9 mm, as steps of 4 mm
        back = resized(square, tuple(slab.shape[1:]))
        assert (back - slab).abs().mean() < 0.05
