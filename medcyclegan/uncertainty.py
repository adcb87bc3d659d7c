"""A map of how uncertain a result is at each voxel, from translations of changed inputs."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from medcyclegan.doubt.spread import GAMMAS, Spread, expected_error, variants
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model
from medcyclegan.stopwatch import Stopwatch
from medcyclegan.task import Task
from medcyclegan.transforms.prepare import Prepared
from medcyclegan.view import Run, View, at_home, translated
from medcyclegan.volume import Volume

NOT_CALIBRATED = (
    "The model's card holds no calibration: the map of uncertainty is the plain spread of the "
    "translations, which ranks errors and is not their size."
)


class UncertaintyMap:
    """Gathers what views and changed intensities make of a scan, as far as it was asked for."""

    def __init__(self, scan: Scan, task: Task, clock: Stopwatch) -> None:
        self._scan, self._task, self._clock = scan, task, clock
        self._spread = Spread()

    def add_view(self, view: View) -> None:
        """Take the passes of a view into account, the mirror image's apart."""
        for fake in view.passes:
            self._add(fake, view.ready)

    def add_variants(self, view: View, model: Model, run: Run) -> None:
        """Translate a view's input anew with its intensities changed."""
        for number, ready in enumerate(variants(view.ready)):
            part = run.part(number, len(GAMMAS))
            with run.turn:
                fake = self._clock.run("network", partial(translated, model, ready.values, part))
            self._add(fake, ready)

    def _add(self, fake: Tensor, ready: Prepared) -> None:
        home = partial(at_home, fake, ready, self._scan, self._task)
        self._spread.add(self._clock.run("home", home))

    def result(self, model: Model) -> Volume:
        """Return the expected absolute error on the scan's grid, in the target's unit.

        Without a calibration on the model's card: the standard deviation.
        """
        spread, calibration = self._spread.result(), model.card.uncertainty
        values = spread if calibration is None else expected_error(spread, calibration)
        return Volume(values.numpy(), self._scan.volume.geometry, self._task.target.unit)
