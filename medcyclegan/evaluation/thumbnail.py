"""A small picture of an image and of what was made of it, side by side."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.views import in_viewing_order, viewed_spacing_mm

HEIGHT_PX = 120
_WIDEST_PX = 200
# Air to bone of a head; soft tissue is a mid grey.
_HU_WINDOW = (-250.0, 1000.0)
_GAP_PX = 4


def thumbnail(source: Volume, made: Volume, body: Volume | None, *, is_plane: bool) -> bytes:
    """Return a PNG of one plane of both, which lie on one grid.

    Of a volume it is the axial slice halfway through the body, seen from the feet: the patient's
    right is at the left. HU have a fixed window, other values one of their own.
    """
    index = 0 if is_plane else _middle(source, body)
    parts = [_part(one, index, is_plane=is_plane) for one in (source, made)]
    width = sum(part.width for part in parts) + _GAP_PX
    sheet = Image.new("L", (width, max(part.height for part in parts)))
    sheet.paste(parts[0], (0, 0))
    sheet.paste(parts[1], (parts[0].width + _GAP_PX, 0))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _middle(volume: Volume, body: Volume | None) -> int:
    inside = in_viewing_order(volume if body is None else body) > 0
    filled = np.flatnonzero(inside.any(axis=(0, 1)))
    return int(filled[len(filled) // 2]) if len(filled) else inside.shape[2] // 2


def _part(volume: Volume, index: int, *, is_plane: bool) -> Image.Image:
    """The plane in grey, its pixels as wide as they are high."""
    if is_plane:
        plane, ratio = volume.voxels[:, :, 0].T, 1.0
    else:
        across_mm, down_mm, _ = viewed_spacing_mm(volume)
        plane, ratio = in_viewing_order(volume)[:, :, index].T, across_mm / down_mm
    rows, columns = plane.shape
    height = HEIGHT_PX
    width = max(1, round(height * columns * ratio / rows))
    if width > _WIDEST_PX:
        height, width = max(1, round(height * _WIDEST_PX / width)), _WIDEST_PX
    picture = Image.fromarray(_grey(plane, volume.unit))
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _grey(plane: FloatVoxels, unit: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    low, high = _HU_WINDOW if unit == "HU" else np.percentile(plane, (0.5, 99.5))
    span = max(float(high) - float(low), 1e-9)
    return np.asarray(np.clip((plane - low) / span, 0.0, 1.0) * 255.0, dtype=np.uint8)
