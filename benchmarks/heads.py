"""Heads from label maps for the benchmarks, prepared now or before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcyclegan import read_scan
from medcyclegan.simulate.labelmaps import HeadAnatomy, prepare_head
from medcyclegan.volume import Volume


def read_head(labels: Path, number: int, *, prepared: Path | None) -> HeadAnatomy:
    """Read label map ``number``, counted from 1, or what ``train_model.py`` kept of it."""
    kept = prepared / f"head_{number:02d}.npz" if prepared else None
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            return HeadAnatomy(found["maps"], tuple(found["spacing_mm"].tolist()))
    volume = read_scan(sorted(labels.glob("*.nii.gz"))[number - 1]).volume
    return prepare_head(Volume(volume.voxels, volume.geometry, "label"))
