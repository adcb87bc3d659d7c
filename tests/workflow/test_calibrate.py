"""Reference ranges are those measured: a scan in range passes, the same scan altered is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.models.card import SpreadCalibration
from medcyclegan.models.store import Model
from medcyclegan.quality.out_of_distribution import out_of_distribution_warnings
from medcyclegan.workflow.calibrate import (
    Calibration,
    ImageSet,
    ReferenceImage,
    calibrate,
    calibrated_card,
    false_alarms,
)
from medcyclegan.workflow.synthesize import Options, Synthesis, synthesize
from tests.tiny_model import head_on, known, model_of, scan_of
from tests.tiny_tasks import task_of

SETS = [ImageSet("made heads", "CC0-1.0", lists_files=True)]
GRID = geometry_from_spacing((44, 44, 40), (4.0, 4.0, 4.0))


def head(task: Task, *, radius_mm: float = 60.0, geometry: Geometry = GRID) -> Volume:
    """A ball of MR signal, or of HU with fat around it, in air."""
    mr, mask = head_on(geometry, radius_mm=radius_mm)
    if task.source.unit != "HU":
        return mr
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    radius = np.linalg.norm(world, axis=-1)
    hu = np.where(mask.voxels > 0, np.where(radius > radius_mm - 8.0, -90.0, 40.0), -1000.0)
    hu[radius < 20.0] = 700.0
    noise = np.random.default_rng(1).normal(0.0, 6.0, hu.shape)
    return Volume((hu + noise).astype(np.float32), geometry, "HU")


def run(image: Volume, model: Model) -> Synthesis:
    scan = scan_of(image, modality=model.task.source.modality)
    return synthesize(scan, model, options=Options(device="cpu"))


def references(task: Task, radii_mm: tuple[float, ...]) -> list[ReferenceImage]:
    return [
        ReferenceImage(f"p{n}/scan", f"p{n}", "made heads",
                       scan_of(head(task, radius_mm=radius), modality=task.source.modality))
        for n, radius in enumerate(radii_mm)
    ]  # fmt: skip


def calibrated(name: str) -> tuple[Model, Calibration]:
    model = model_of(nn.Identity(), task_of(name))
    found = calibrate(model, references(model.task, (55.0, 60.0, 64.0)), SETS, device="cpu")
    return replace(model, card=calibrated_card(model.card, found)), found


@pytest.mark.parametrize("name", ["mr-ct", "mr-mr", "ct-mr", "ct-ct"])
def test_ranges_are_those_measured_and_a_scan_within_passes(name: str) -> None:
    model, found = calibrated(name)
    for feature, one in found.ranges.ranges.items():
        values = [measured.figures[feature] for measured in found.measured]
        assert one.low == pytest.approx(min(values), abs=1e-4)
        assert one.high == pytest.approx(max(values), abs=1e-4)
        assert one.low <= min(values) <= max(values) <= one.high
    assert run(head(model.task, radius_mm=58.0), model).out_of_distribution == ()
    data = found.ranges.measured_on[0]
    assert (data.name, data.licence, data.images) == ("made heads", "CC0-1.0", 3)
    assert data.files == ("p0/scan", "p1/scan", "p2/scan")


@pytest.mark.parametrize("name", ["mr-ct", "mr-mr", "ct-mr", "ct-ct"])
def test_the_same_scan_altered_is_named(name: str) -> None:
    model, _ = calibrated(name)
    task = model.task
    large = run(head(task, radius_mm=84.0), model)
    assert any("litres" in said for said in large.out_of_distribution)
    slab_grid = geometry_from_spacing((44, 44, 12), (4.0, 4.0, 4.0))
    slab = run(head(task, geometry=slab_grid), model)
    assert any("mm high" in said for said in slab.out_of_distribution)
    coarse_grid = geometry_from_spacing((22, 22, 20), (8.0, 8.0, 8.0))
    coarse = run(head(task, geometry=coarse_grid), model)
    assert any("spacing of voxels is 8 mm" in said for said in coarse.out_of_distribution)
    assert set(large.out_of_distribution) <= set(large.warnings)


def test_values_that_are_no_ct_of_the_kind_are_named_though_the_shape_is_right() -> None:
    model, _ = calibrated("ct-ct")
    image = head(model.task)
    without_fat = np.where((image.voxels > -150) & (image.voxels < -40), 40.0, image.voxels)
    without_fat[0, 0, :] = -90.0  # not so little that it is refused as no CT
    lean = run(image.with_voxels(without_fat.astype(np.float32)), model)
    assert any("is fat" in said for said in lean.out_of_distribution)
    noise = np.random.default_rng(2).normal(0.0, 60.0, image.voxels.shape)
    noisy = run(image.with_voxels((image.voxels + noise).astype(np.float32)), model)
    assert any("noise in soft tissue" in said for said in noisy.out_of_distribution)


def test_another_network_on_the_same_scan_is_named() -> None:
    model, _ = calibrated("mr-mr")

    class Dark(nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return x * 0.0 - 0.95

    out_of_distribution = run(
        head(model.task), replace(model, generator=Dark())
    ).out_of_distribution
    assert any("came out dark" in said for said in out_of_distribution)


def test_a_refused_image_counts_for_nothing_and_nothing_but_refusals_is_refused() -> None:
    model = model_of(nn.Identity(), task_of("mr-mr"))
    good = references(model.task, (60.0,))
    noise = np.random.default_rng(1).uniform(0.0, 1.0, GRID.shape).astype(np.float32)
    bad = ReferenceImage("noise", "noise", "made heads", scan_of(Volume(noise, GRID, "a.u.")))
    found = calibrate(model, [*good, bad], SETS, device="cpu")
    assert "looks like noise" in found.measured[1].refused
    assert found.ranges.measured_on[0].images == 1
    with pytest.raises(InputRefused, match="None of 1 images"):
        calibrate(model, [bad], SETS, device="cpu")


def test_false_alarms_are_of_those_unlike_the_others() -> None:
    model = model_of(nn.Identity(), task_of("mr-mr"))
    images = references(model.task, (55.0, 60.0, 84.0))
    found = calibrate(model, images, SETS, device="cpu")
    alarms = dict(false_alarms(found.measured))
    assert "p2/scan" in alarms
    assert "body_litres" in alarms["p2/scan"]
    assert "p0/scan" not in alarms or "body_litres" not in alarms["p0/scan"]


def test_false_alarms_of_widened_ranges_count_what_the_card_knew() -> None:
    model = model_of(nn.Identity(), task_of("mr-mr"))
    found = calibrate(model, references(model.task, (55.0, 60.0, 84.0)), SETS, device="cpu")
    card = model.card.model_copy(update={"reference_ranges": found.ranges})
    assert false_alarms(found.measured)  # without the card's own ranges, one is flagged
    assert false_alarms(found.measured, known=card.reference_ranges) == []
    small = known(body_litres=(0.001, 0.002))
    alone = false_alarms(found.measured[2:], known=small)
    assert alone == [("p2/scan", ("body_litres",))]


class Unsure(nn.Module):
    """Water, and a ramp along the rows where the input is bright: views differ there."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return torch.linspace(0.1, 0.4, x.shape[3]) * (x > 0.07)


def unsure_pairs() -> tuple[Model, list[ReferenceImage]]:
    """Two heads of which one half is bright, and the water that they truly are."""
    model = model_of(Unsure(), task_of("mr-ct"))
    pairs = []
    for number, image in enumerate(references(model.task, (55.0, 60.0))):
        mr = image.scan.volume
        bright = np.arange(mr.geometry.shape[0])[:, None, None] >= 22
        signal = np.where(mr.voxels > 0, np.where(bright, 900.0, 200.0 + number), 0.0)
        scan = replace(image.scan, volume=mr.with_voxels(signal.astype(np.float32)))
        truth = Volume(np.full(GRID.shape, 500.0, np.float32), GRID, "HU")
        pairs.append(replace(image, scan=scan, truth=truth))
    return model, pairs


def test_true_images_give_a_curve_where_the_spread_tells_where_errors_are() -> None:
    model, pairs = unsure_pairs()
    found = calibrate(model, pairs, SETS, device="cpu")
    assert found.rank is not None
    assert found.rank > 0.4
    assert found.curve is not None
    assert found.curve.error[-1] > 10.0 * max(found.curve.error[0], 1.0)
    card = calibrated_card(model.card, found)
    assert card.uncertainty == found.curve
    # without pairs, the card's curve stays
    plain = [replace(pair, truth=None) for pair in pairs]
    without = calibrate(model, plain, SETS, device="cpu")
    assert (without.rank, without.curve) == (None, None)
    assert calibrated_card(card, without).uncertainty == found.curve


def test_a_spread_that_tells_nothing_of_errors_gives_no_curve() -> None:
    model, pairs = unsure_pairs()
    noise = np.random.default_rng(1).normal(500.0, 3000.0, GRID.shape).astype(np.float32)
    drowned = [replace(pair, truth=Volume(noise, GRID, "HU")) for pair in pairs]
    found = calibrate(model, drowned, SETS, device="cpu")
    assert found.rank is not None
    assert found.rank < 0.1
    assert found.curve is None
    before = model.card.model_copy(
        update={
            "uncertainty": SpreadCalibration(spread=(0.0, 1.0), error=(1.0, 2.0), fitted_on="old")
        }
    )
    assert calibrated_card(before, found).uncertainty is None


def test_extending_widens_and_replacing_does_not() -> None:
    model, found = calibrated("mr-mr")
    wide = model.card.model_copy(update={"reference_ranges": known(body_litres=(0.1, 9.0))})
    extended = calibrated_card(wide, found, extend=True).reference_ranges
    assert extended is not None
    assert extended.ranges["body_litres"].high == 9.0
    assert len(extended.measured_on) == 2
    assert calibrated_card(wide, found).reference_ranges == found.ranges
    features = run(head(model.task), model).features
    assert features is not None
    assert out_of_distribution_warnings(features, calibrated_card(wide, found)) == ()
