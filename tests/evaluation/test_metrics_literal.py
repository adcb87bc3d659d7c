"""All scores against a slow, literal implementation of the published definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.metrics import Protocol, score
from tests.evaluation.test_similarity import literal_ms_ssim

SHAPE = (13, 12, 14)
Triple = tuple[int, int, int]
HIGHEST = {"synthrad2023": 3000.0, "synthrad2025": 3071.0}
RANGE = {"synthrad2023": 4024.0, "synthrad2025": 4095.0}


def images(seed: int) -> tuple[Volume, Volume, Volume]:
    """A body of air, soft tissue, bone and metal beyond both ranges, and a noisy copy of it."""
    rng = np.random.default_rng(seed)
    geometry = geometry_from_spacing(SHAPE, (1.0, 2.0, 3.0))
    ref = rng.choice([-1000.0, -600.0, 30.0, 80.0, 200.0, 700.0, 3050.0, 3500.0], SHAPE)
    ref += rng.normal(0.0, 15.0, SHAPE)
    pred = 0.9 * ref + rng.normal(20.0, 120.0, SHAPE)
    mask = rng.random(SHAPE) < 0.7
    mask[5:9, 5:9, 5:9] = True  # or MS-SSIM's coarsest level, one voxel in size, has none
    volumes = (pred, ref, mask)
    units = ("HU", "HU", "mask")
    made = [
        Volume(voxels.astype(np.float32), geometry, unit)  # type: ignore[arg-type]
        for voxels, unit in zip(volumes, units, strict=True)
    ]
    return made[0], made[1], made[2]


def inside_of(mask: Volume) -> list[Triple]:
    return [index for index in np.ndindex(SHAPE) if mask.voxels[index] > 0]


def clipped(value: float, protocol: str) -> float:
    return min(max(float(value), -1024.0), HIGHEST[protocol])


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def literal_mae(pred: Volume, ref: Volume, places: list[Triple]) -> float:
    return mean([abs(float(ref.voxels[p]) - float(pred.voxels[p])) for p in places])


def literal_psnr(pred: Volume, ref: Volume, places: list[Triple], protocol: str) -> float:
    squares = [
        (clipped(ref.voxels[p], protocol) - clipped(pred.voxels[p], protocol)) ** 2 for p in places
    ]
    return 10.0 * math.log10(RANGE[protocol] ** 2 / mean(squares))


def literal_dice(pred: Volume, ref: Volume, places: list[Triple]) -> float:
    a = {p for p in places if pred.voxels[p] > 250.0}
    b = {p for p in places if ref.voxels[p] > 250.0}
    return 2.0 * len(a & b) / (len(a) + len(b))


def prepared(image: Volume, mask: Volume, protocol: str) -> np.ndarray:
    hu = np.clip(image.voxels.astype(np.float64), -1024.0, HIGHEST[protocol])
    return np.where(mask.voxels > 0, hu, -1024.0) + 1024.0


def literal_ssim(pred: Volume, ref: Volume, mask: Volume, places: list[Triple]) -> float:
    """Window by window, each with its own means, sample variances and covariance."""
    x, y = prepared(pred, mask, "synthrad2023"), prepared(ref, mask, "synthrad2023")
    c1, c2 = (0.01 * 4024.0) ** 2, (0.03 * 4024.0) ** 2
    found = []
    for place in places:
        if any(i < 3 or i >= n - 3 for i, n in zip(place, SHAPE, strict=True)):
            continue
        window = tuple(slice(i - 3, i + 4) for i in place)
        a, b = x[window].ravel(), y[window].ravel()
        covariance = float(((a - a.mean()) * (b - b.mean())).sum()) / (a.size - 1)
        found.append(
            (2.0 * a.mean() * b.mean() + c1)
            * (2.0 * covariance + c2)
            / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (a.var(ddof=1) + b.var(ddof=1) + c2))
        )
    return mean(found)


@pytest.mark.parametrize("protocol", ["synthrad2023", "synthrad2025"])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_score_equals_its_definition(seed: int, protocol: Protocol) -> None:
    pred, ref, mask = images(seed)
    places = inside_of(mask)
    found = score(pred, ref, mask, protocol=protocol)
    tissues = {
        "mae_air_hu": [p for p in places if ref.voxels[p] < -400.0],
        "mae_soft_hu": [p for p in places if -150.0 <= ref.voxels[p] <= 150.0],
        "mae_bone_hu": [p for p in places if ref.voxels[p] > 250.0],
    }
    expected = {
        "mae_hu": literal_mae(pred, ref, places),
        "psnr_db": literal_psnr(pred, ref, places, protocol),
        "dice_bone": literal_dice(pred, ref, places),
        **{name: literal_mae(pred, ref, where) for name, where in tissues.items()},
    }
    if protocol == "synthrad2023":
        expected["ssim"] = literal_ssim(pred, ref, mask, places)
    else:
        x, y = prepared(pred, mask, protocol), prepared(ref, mask, protocol)
        expected["ms_ssim"] = literal_ms_ssim(x, y, mask.voxels.astype(np.float64))
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6), name
    other: Protocol = "synthrad2025" if protocol == "synthrad2023" else "synthrad2023"
    assert found.psnr_db != pytest.approx(literal_psnr(pred, ref, places, other), rel=1e-6)
    everywhere = list(np.ndindex(SHAPE))
    assert found.mae_hu != pytest.approx(literal_mae(pred, ref, everywhere), rel=1e-6)
