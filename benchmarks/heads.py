"""Heads from label maps for the benchmarks, prepared now or before."""

from __future__ import annotations

from pathlib import Path

from medcyclegan import read_scan
from medcyclegan.core.volume import Volume
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.training.data.simulated import load_prepared, prepared_path


def read_head(labels: Path, number: int, *, prepared: Path | None) -> HeadAnatomy:
    """Read label map ``number``, counted from 1, or what a training kept of it (--prepared)."""
    if prepared is not None and prepared_path(prepared, number).exists():
        return load_prepared(prepared, [number])[0]
    volume = read_scan(sorted(labels.glob("*.nii.gz"))[number - 1]).volume
    return prepare_head(Volume(volume.voxels, volume.geometry, "label"))
