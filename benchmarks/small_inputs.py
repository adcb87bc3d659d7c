"""A network of fresh weights and small images: what measures a batch and not the translation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from medcyclegan.cli.conversions import default_provenance
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Domain, Percentiles, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.card import Card, Training
from medcyclegan.models.store import save_model
from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.plan import Plan

SMALLEST = GeneratorConfig(widths=(4, 4))
SHARE = Percentiles(lower=1.0, upper=99.0)
TASK = Task(
    name="small", spacing_mm=4.0, thick_slice_mm=6.0, depth=3,
    source=Domain(modality="MR", unit="a.u.", scaling=SHARE),
    target=Domain(modality="CT", unit="HU", scaling=Window(lower=-1000.0, upper=2000.0)),
)  # fmt: skip


class Silent:
    """A watcher of a batch that says nothing."""

    def planned(self, plan: Plan) -> None:
        """Say nothing of the plan."""

    def ended(self, row: Row) -> None:
        """Say nothing of a row."""


def small_model(folder: Path) -> Path:
    """Save a model from MR to CT with fresh weights into a new folder; returns it."""
    torch.manual_seed(0)
    training = Training(
        data=(), simulated=True, config="none", seed=0, steps=0, hours=0.0, machine="none",
        method="none: fresh weights",
    )  # fmt: skip
    card = Card(
        name="small", version="0", summary="fresh weights for measurements", task=TASK,
        generator=SMALLEST, weights_sha256="0" * 64, training=training, scores=(),
        intended_use="measurements", limits=("anything else",), licence="CC0-1.0",
    )  # fmt: skip
    weights = make_generator(SMALLEST, depth=TASK.depth).state_dict()
    save_model(folder, card=card, weights=weights)
    return folder


def ball(*, shift: float = 0.0) -> Volume:
    """MR signal of a ball 120 mm wide on 24 x 24 x 12 voxels; ``shift`` makes another of it."""
    grid = geometry_from_spacing((24, 24, 12), (8.0, 8.0, 12.0))
    world = grid.to_world(np.stack(np.indices(grid.shape), axis=-1).astype(float))
    signal = 600.0 + shift + world @ np.array([3.0, -2.0, 4.0])
    inside = (world**2).sum(axis=-1) < 60.0**2
    return Volume(np.where(inside, signal, 0.0).astype(np.float32), grid, "a.u.")


def write_ball(path: Path, *, shift: float = 0.0) -> None:
    """Write a ball as NIfTI, or as a DICOM series where ``path`` has no ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        write_nifti(ball(shift=shift), source_header=ItkSourceHeader(), to=path)
        return
    made = default_provenance()
    write_dicom_mr(
        ball(shift=shift), to=path, description="t1_mprage", now=made.now(), new_uid=made.new_uid
    )
