"""Go on with a model so that the contrasts of one visit give one CT, without a CT of it.

    python -m benchmarks.agreeing_contrasts --heads PREPARED --visits PATIENT [PATIENT ...] \
        --model head-mr-ct --minutes 10 --out DIR

PREPARED holds heads that ``medcyclegan train --prepared`` kept, PATIENT registered T1, T2 and FLAIR
as ``check_contrasts`` takes them. The simulated pairs of ``head_mr_ct_continued`` go on. Beside
them, in every step, each contrast of some patches of the visits is pulled towards what all of them
give together, by the moving average of the weights (the mean teacher of Tarvainen and Valpola 2017,
arXiv 1703.01780). There all that is denser counts as 400 HU: contrasts are to agree on where bone
is, and how dense it is the simulated pairs alone tell, as a mean of several CTs is too soft. These
have one loss more than before: how far the mean of true bone is off (``density_weight``).

At the end the weights go three quarters of the way from what they were (Wortsman et al. 2022, arXiv
2109.01903), so that nothing is lost on the simulated pairs.

DIR is the model's folder with other weights. Its card tells of the visits; scores, reference ranges
and uncertainty have to be measured anew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from medcyclegan import load_model, read_scan
from medcyclegan.core.task import Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.body_mask import body_mask_mr
from medcyclegan.imaging.itk_images import itk_image
from medcyclegan.imaging.preprocessing import WindowScaling, fit_window, on_grid
from medcyclegan.imaging.resampling import model_geometry, slice_axis
from medcyclegan.models.card import Card, DataSource
from medcyclegan.models.store import Model, save_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import SimulatedSlabs, load_prepared
from medcyclegan.training.data.types import Sample, collate
from medcyclegan.training.engines.base import Losses, Moment, Setup
from medcyclegan.training.engines.supervised import Supervised, SupervisedSettings
from medcyclegan.training.parallel import Crew
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

CONFIG = "head_mr_ct_continued"
DENSITY_WEIGHT = 0.03
CHANGES = (
    "engine.learning_rate=2e-4",
    f"engine.density_weight={DENSITY_WEIGHT:g}",
    "ema_decay=0.99",
    "batch_size=4",
    "seed=31",
)
WEIGHT, MOST_HU = 0.6, 400.0
PATCHES, PATCH_PX = 2, 128
SHARE = 0.75  # of the way from the former weights to the new ones
WARMUP_STEPS, LEAST_RATE = 20, 0.02
ITEMS = 1_000_000
OPENMS = DataSource(
    name="Open MS data",
    licence="CC BY, University of Ljubljana",
    use="MR without CT: T1, T2 and FLAIR of a visit are to give the same CT",
)


@dataclass(frozen=True, eq=False)
class Visit:
    """Contrasts of one head on one model grid.

    ``values`` (C, D, H, W) in [-1, 1], ``inside`` (D, H, W): 1 where the head is in view of all.
    """

    values: Tensor
    inside: Tensor

    def patch(self, rng: np.random.Generator, *, depth: int, size_px: int) -> tuple[Tensor, Tensor]:
        """Draw a slab (C, depth, P, P) and its part of ``inside``; mirrored every other time."""
        edges = (depth, size_px, size_px)
        starts = [
            int(rng.integers(n - edge + 1))
            for n, edge in zip(self.inside.shape, edges, strict=True)
        ]
        cut = tuple(slice(n, n + edge) for n, edge in zip(starts, edges, strict=True))
        values, inside = self.values[(slice(None), *cut)], self.inside[cut]
        if rng.random() < 0.5:
            values, inside = values.flip(-2), inside.flip(-2)
        return values.contiguous(memory_format=torch.channels_last), inside


def visits_in(patient: Path, task: Task) -> Iterator[Visit]:
    """Read the visits of a patient, each onto the model grid of its FLAIR."""
    for flair in sorted(patient.glob("*_FLAIR.nii.gz")):
        study = flair.name.split("_")[0]
        target = read_scan(flair, modality="MR").volume
        body = body_mask_mr(target)
        normal = slice_axis(target.geometry, task)
        geometry = model_geometry(target.geometry, body, task, normal=normal)
        prepared = [on_grid(target, geometry, fit_window(target, body, task.source))]
        inside = body.voxels > 0
        for contrast in ("T1W", "T2W"):
            if (path := patient / f"{study}_{contrast}.nii.gz").exists():
                moving = read_scan(path, modality="MR").volume
                mask = body_mask_mr(moving)
                window = fit_window(moving, mask, task.source)
                transform = patient / f"{study}_{contrast}_intrastudy_to_FLAIR.txt"
                moved = resampled(moving, target, transform, fill=window.lower)
                prepared.append(on_grid(target.with_voxels(moved), geometry, window))
                inside &= resampled(mask, target, transform, fill=0.0) > 0.5
        share = target.with_voxels(inside.astype(np.float32))
        seen = on_grid(share, geometry, Window(lower=0.0, upper=1.0)).values > 0
        yield Visit(torch.stack([one.values for one in prepared]), seen.float())


def resampled(
    moving: Volume, target: Volume, transform: Path, *, fill: float
) -> NDArray[np.float32]:
    """Bring a volume onto another's grid (i, j, k) by an ITK transform."""
    read = sitk.ReadTransform(str(transform))
    moved = sitk.Resample(itk_image(moving), itk_image(target), read, sitk.sitkLinear, fill)
    return np.ascontiguousarray(sitk.GetArrayFromImage(moved).transpose(2, 1, 0), np.float32)


def disagreement(made: Tensor, together: Tensor, inside: Tensor, *, most: float) -> Tensor:
    """How far (C, depth, P, P) is from (1, depth, P, P) inside; above ``most`` nothing counts."""
    apart = (made.clamp(max=most) - together.clamp(max=most)).abs() * inside
    return apart.sum() / (len(made) * inside.sum().clamp(min=1.0))


class Agreeing(Supervised):
    """Supervised training with one more loss: how far contrasts of visits are apart."""

    def __init__(self, settings: SupervisedSettings, setup: Setup, visits: Sequence[Visit]) -> None:
        super().__init__(settings, setup)
        self._visits = visits
        self._rng = np.random.default_rng(setup.seed)
        scaling = WindowScaling(setup.tasks["a-to-b"].target_window)
        self._most = float(scaling(torch.tensor(MOST_HU)))
        self._depth = setup.tasks["a-to-b"].depth

    def _losses(self, part: Sample, *, whole: bool) -> Losses:
        losses = super()._losses(part, whole=whole)
        apart = torch.stack([self._disagreement() for _ in range(PATCHES)]).mean()
        total = losses.pop("generator") + WEIGHT * apart
        return {**losses, "agreement": apart, "generator": total}

    def _disagreement(self) -> Tensor:
        visit = self._visits[int(self._rng.integers(len(self._visits)))]
        values, inside = visit.patch(self._rng, depth=self._depth, size_px=PATCH_PX)
        with torch.no_grad(), self.autocast():
            teacher = self.averages["a-to-b"].module
            together = teacher(values).float().mean(dim=0, keepdim=True)
        return disagreement(self._translate(values)[0], together, inside, most=self._most)


def go_on(
    model: Model, visits: Sequence[Visit], heads: Path, *, minutes: float
) -> tuple[dict[str, Tensor], int]:
    """Train for some minutes of one core; the moving average of the weights, and the steps."""
    config = read_settings(find_config(CONFIG), TrainConfig, changes=CHANGES)
    assert isinstance(config.engine, SupervisedSettings)
    crew = Crew()
    engine = Agreeing(config.engine, config.setup(torch.device("cpu"), crew), visits)
    engine.begin(model.generator.state_dict())
    slabs = SimulatedSlabs(load_prepared(heads, range(1, 13)), config.data, seed=config.seed)
    batches = [range(n, n + config.batch_size) for n in range(0, ITEMS, config.batch_size)]
    loader = DataLoader(slabs, batch_sampler=batches, num_workers=1, collate_fn=collate)
    started, step = time.monotonic(), 0
    for part in loader:
        share = (time.monotonic() - started) / (60.0 * minutes)
        if share >= 1.0:
            break
        factor = min(1.0, step / WARMUP_STEPS) * max(LEAST_RATE, 1.0 - share)
        losses = engine.step([part], Moment(step, share, factor), crew)
        step += 1
        if step % 20 == 0:
            said = "  ".join(f"{name} {float(value):.4f}" for name, value in losses.items())
            print(f"{share:4.0%}  step {step}  {said}", flush=True)
    return dict(engine.averages["a-to-b"].module.state_dict()), step


def between(
    before: dict[str, Tensor], after: dict[str, Tensor], *, share: float
) -> dict[str, Tensor]:
    """Weights on the straight way from some to others."""
    return {name: torch.lerp(before[name], after[name], share) for name in before}


def told(card: Card, *, steps: int, minutes: float) -> Card:
    """Return the card with the visits among the data, and what was done with them."""
    training = card.training
    method = (
        f"{training.method}; then {steps} steps with contrasts of acquired MR without CT beside "
        f"them, which are to agree (weight {WEIGHT:g}, up to {MOST_HU:g} HU), density of bone "
        f"{DENSITY_WEIGHT:g}, and {SHARE:.0%} of the way to what came of it"
    )
    changed = training.model_copy(
        update={
            "data": (*(one for one in training.data if one != OPENMS), OPENMS),
            "method": method,
            "hours": training.hours + minutes / 60.0,
        }
    )
    cleared = {"scores": (), "reference_ranges": None, "uncertainty": None}
    return card.model_copy(update={"training": changed, **cleared})


def main() -> None:
    """Parse the arguments, read the visits, train, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", type=Path, required=True, help="folder of prepared heads")
    parser.add_argument("--visits", type=Path, nargs="+", required=True, help="folders of patients")
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True, help="model folder to make")
    given = parser.parse_args()
    model = load_model(given.model)
    visits = [visit for patient in given.visits for visit in visits_in(patient, model.task)]
    print(f"{len(visits)} visits of {[tuple(one.values.shape) for one in visits]}", flush=True)
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    after, steps = go_on(model, visits, given.heads, minutes=given.minutes)
    weights = between(before, after, share=SHARE)
    save_model(
        given.out, card=told(model.card, steps=steps, minutes=given.minutes), weights=weights
    )


if __name__ == "__main__":
    main()
