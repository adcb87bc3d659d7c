"""Uncertainty: spread of translations of changed inputs, its map, and its calibration curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from medcyclegan.core.task import Task
from medcyclegan.core.timing import timed
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.preprocessing import Prepared
from medcyclegan.imaging.resampling import to_geometry
from medcyclegan.inference.slab_orientation import Run, View, in_native_space, translated
from medcyclegan.io.scan import Scan
from medcyclegan.models.card import SpreadCalibration
from medcyclegan.models.store import Model

# Exponents of the signal, on its scale from 0 to 1: about what another coil or echo time does.
GAMMAS = (0.8, 1.25)


class Spread:
    """Standard deviation of images of one shape, given one by one (Welford 1962)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: FloatVoxels = np.zeros((), np.float32)
        self._squares: FloatVoxels = np.zeros((), np.float32)

    def add(self, image: FloatVoxels) -> None:
        """Take another image into account; all have the same shape."""
        self._count += 1
        step = image - self._mean
        self._mean = self._mean + step / np.float32(self._count)
        self._squares = self._squares + step * (image - self._mean)

    def result(self) -> FloatVoxels:
        """Return the standard deviation at each voxel; 0 of a single image."""
        variance = self._squares / np.float32(max(1, self._count - 1))
        return np.asarray(np.sqrt(np.maximum(variance, np.float32(0.0))))


def variants(ready: Prepared) -> Iterator[Prepared]:
    """Yield (D, H, W) in [-1, 1] with its signal bent a little, darker and brighter."""
    for gamma in GAMMAS:
        bent = ((ready.values + 1.0) / 2.0).clamp(0.0, 1.0) ** gamma
        yield replace(ready, values=2.0 * bent - 1.0)


def expected_error(spread: NDArray[np.floating], calibration: SpreadCalibration) -> FloatVoxels:
    """Turn a spread into the absolute error that goes with it in the mean, in the same unit."""
    error = np.interp(spread, calibration.spread, calibration.error)
    return np.asarray(error, dtype=np.float32)


NOT_CALIBRATED = (
    "The model's card holds no calibration: the map of uncertainty is the plain spread of the "
    "translations, which ranks errors and is not their size."
)


class UncertaintyMap:
    """Gathers what views and changed intensities make of a scan, as far as it was asked for."""

    def __init__(self, scan: Scan, model: Model, run: Run) -> None:
        self._scan, self._model, self._run = scan, model, run
        self._spread = Spread()

    def add_view(self, view: View) -> None:
        """Take the passes of a view into account, the mirror image's apart."""
        for fake in view.passes:
            self._add(fake, view.ready)

    def add_variants(self, view: View, run: Run) -> None:
        """Translate a view's input anew with its intensities changed."""
        for number, ready in enumerate(variants(view.ready)):
            part = run.part(number, len(GAMMAS))
            with run.turn, timed(run.seconds, "network"):
                fake = translated(self._model, ready, part)
            self._add(fake, ready)

    def _add(self, fake: Tensor, ready: Prepared) -> None:
        with timed(self._run.seconds, "home"):
            image = in_native_space(fake, ready, self._scan, self._model.task)
        self._spread.add(image.voxels)

    def result(self) -> Volume:
        """Return the expected absolute error on the scan's grid, in the target's unit.

        Without a calibration on the model's card: the standard deviation.
        """
        spread, calibration = self._spread.result(), self._model.card.uncertainty
        values = spread if calibration is None else expected_error(spread, calibration)
        return Volume(values, self._scan.volume.geometry, self._model.task.target.unit)


Values = NDArray[np.float64]

# Of each image; the standard error of a mean over a tenth of them is below 1 HU.
SAMPLED_VOXELS = 300_000
# Tenths, and finer parts where the spread is large: few voxels, and most of the error.
PART_ENDS = (*(n / 10 for n in range(1, 10)), 0.95, 0.98, 0.995)
# By these, true images whose values have no unit are brought to the scale of the output.
SCALE_PERCENTILES = (1.0, 99.0)
# With a weaker rank correlation, a map would order voxels by next to nothing.
LEAST_RANK = 0.1
# With less of the body in the view of the true image, the two hardly lie at one place.
LEAST_COVERED = 0.5


@dataclass(frozen=True, eq=False)
class ErrorSample:
    """Spread and true absolute error, in the target's unit, (n,), of voxels in one body."""

    name: str
    spread: Values
    error: Values


def error_sample(
    name: str, made: Volume, spread: Volume, truth: Volume, body: Volume, task: Task
) -> ErrorSample:
    """Hold a result against the true image, at some voxels inside the mask ``body``.

    ``made``, ``spread`` and ``body`` are on one grid; ``truth`` may be on another, and is then
    interpolated. Values without a unit (a.u.) are scaled first: the 1st and the 99th percentile of
    the truth in the body come to those of the result, so that its scanner's scale is no error.

    Raises
    ------
    InputRefused
        If the two images do not lie at one place, or the truth has no contrast.
    """
    grid = made.geometry
    covered = body.voxels > 0
    if not truth.geometry.same_grid(grid):
        view = truth.with_voxels(np.ones_like(truth.voxels), unit="mask")
        in_view = to_geometry(view, grid, fill=0.0).voxels >= 0.5
        share = float(in_view[covered].mean())
        if share < LEAST_COVERED:
            raise InputRefused(
                f"{name}: the true image covers {share:.0%} of the body",
                rule="the two images of a pair lie at one place in space",
                remedy="register them",
            )
        covered = covered & in_view
        truth = to_geometry(truth, grid, fill=task.target_window.lower)
    inside = np.flatnonzero(covered)
    some = np.random.default_rng(0).permutation(inside)[:SAMPLED_VOXELS]
    true, result = (volume.voxels.ravel()[some].astype(float) for volume in (truth, made))
    if task.target.unit != "HU":
        true = _on_scale_of(result, true, name)
    return ErrorSample(name, spread.voxels.ravel()[some].astype(float), np.abs(result - true))


def _on_scale_of(result: Values, true: Values, name: str) -> Values:
    low, high = np.percentile(true, SCALE_PERCENTILES)
    if not low < high:
        raise InputRefused(f"{name}: all of the true image is {low:g}", rule="it needs contrast")
    to_low, to_high = np.percentile(result, SCALE_PERCENTILES)
    return np.asarray(to_low + (true - low) * ((to_high - to_low) / (high - low)))


def fitted_curve(samples: Sequence[ErrorSample], *, fitted_on: str) -> SpreadCalibration:
    """Return the mean spread and the mean error of parts of the voxels, from least spread to most.

    Where the mean error falls from one part to the next, that of the part before is kept.

    Raises
    ------
    InputRefused
        If the spread is the same everywhere.
    """
    spread = np.concatenate([sample.spread for sample in samples])
    error = np.concatenate([sample.error for sample in samples])
    order = np.argsort(spread, kind="stable")
    points: list[tuple[float, float]] = []
    for part in np.split(order, [round(share * order.size) for share in PART_ENDS]):
        if not part.size:
            continue
        at = round(float(spread[part].mean()), 2)
        if not points or at > points[-1][0]:
            least = points[-1][1] if points else 0.0
            points.append((at, max(least, round(float(error[part].mean()), 1))))
    if len(points) < 2:
        raise InputRefused(
            f"The spread of the translations is {points[0][0] if points else 0:g} everywhere",
            rule="a curve of uncertainty needs at least two values of it",
            remedy="give other pairs, or calibrate without --pairs",
        )
    spreads, errors = zip(*points, strict=True)
    return SpreadCalibration(spread=spreads, error=errors, fitted_on=fitted_on)


def rank_of(sample: ErrorSample) -> float:
    """Return Spearman's correlation of spread and error; 0 if either is the same everywhere."""
    if np.ptp(sample.spread) == 0.0 or np.ptp(sample.error) == 0.0:
        return 0.0
    return float(spearmanr(sample.spread, sample.error).statistic)


def map_of(sample: ErrorSample, curve: SpreadCalibration) -> Values:
    """Return the expected error (n,) where the sample was taken, as a run's map gives it."""
    return expected_error(sample.spread, curve).astype(float)
