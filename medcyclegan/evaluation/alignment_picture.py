"""A picture of a CT on an MR before and after registration: checkerboards, and edges of the CT."""

from __future__ import annotations

import io

import numpy as np

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.pictures import SOFT_TISSUE, Column, Names, draw_panel
from medcyclegan.evaluation.views import in_viewing_order

_NAMES = Names("MR", "CT on the MR's grid")
# A tile shows a stretch of skull or skin that goes on in the next.
_TILE_MM = 25.0
# What edges of the CT are drawn around, in HU: skin and bone.
_SKIN_HU, _BONE_HU = -400.0, 300.0
# The MR under white edges is darkened to this.
_UNDER_EDGES = 0.65


def alignment_png(mr: Volume, before: Volume, after: Volume) -> bytes:
    """Return a PNG of five views: MR, CT, checkerboards and edges before and after.

    ``before`` and ``after`` are the CT (HU) on the grid of the MR by its header, and registered.
    """
    grey = _grey(mr)
    more = []
    for title, draw in (("Checkerboard of 25 mm", _checkered), ("Skin and bone of the CT", _edged)):
        for when, ct in (("before", before), ("after", after)):
            voxels = draw(grey, in_viewing_order(ct), _spacing_mm(mr))
            more.append(Column(f"{title}\n{when}", voxels, 0.0, 1.0, ""))
    figure = draw_panel(mr=mr, sct=after, names=_NAMES, more=more)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _grey(mr: Volume) -> FloatVoxels:
    """The MR in viewing order, from 0 to 1."""
    voxels = in_viewing_order(mr)
    low, high = np.percentile(voxels, (0.5, 99.5))
    shown = np.clip((voxels - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return np.asarray(shown, dtype=np.float32)


def _spacing_mm(mr: Volume) -> tuple[float, ...]:
    """Spacing along the axes of the viewing order."""
    order = np.abs(mr.geometry.directions_ras).argmax(axis=0)
    return tuple(
        mr.geometry.spacing_mm[int(np.flatnonzero(order == world)[0])] for world in range(3)
    )


def _checkered(grey: FloatVoxels, ct: FloatVoxels, spacing_mm: tuple[float, ...]) -> FloatVoxels:
    level, width = SOFT_TISSUE
    shown = np.clip((ct - level) / width + 0.5, 0.0, 1.0)
    tiles = [
        np.floor(np.arange(count) * mm / _TILE_MM).astype(int)
        for count, mm in zip(ct.shape, spacing_mm, strict=True)
    ]
    number = tiles[0][:, None, None] + tiles[1][:, None] + tiles[2]
    return np.where(number % 2 == 0, grey, shown).astype(np.float32)


def _edged(grey: FloatVoxels, ct: FloatVoxels, _: tuple[float, ...]) -> FloatVoxels:
    edges = _border(ct > _SKIN_HU) | _border(ct > _BONE_HU)
    return np.where(edges, 1.0, _UNDER_EDGES * grey).astype(np.float32)


def _border(inside: np.ndarray) -> np.ndarray:
    """Voxels inside that have a neighbour outside along some axis."""
    found = np.zeros_like(inside)
    for axis in range(3):
        here, there = np.moveaxis(inside, axis, 0), np.moveaxis(found, axis, 0)
        there[1:] |= here[1:] & ~here[:-1]
        there[:-1] |= here[:-1] & ~here[1:]
    return found
