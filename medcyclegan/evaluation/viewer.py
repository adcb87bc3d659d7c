"""What the viewer of a page is given: small copies of volumes on one grid, as text.

The copies are there to be looked at, not to be measured on: blocks of voxels are averaged, and
values rounded to whole HU or, of other units, to 256 levels. ``templates/viewer.js`` shows them.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.metrics import HIGHEST_HU, LOWEST_HU, check_same_grid
from medcyclegan.evaluation.pictures import BONE, SOFT_TISSUE
from medcyclegan.evaluation.views import (
    LEAST_VOXELS,
    MARGIN_MM,
    MOST_VOXELS,
    Copy,
    choose_copy,
    in_viewing_order,
    viewed_spacing_mm,
)

# Level and width in HU; grey and white matter differ by 10 HU.
BRAIN = (40.0, 80.0)
PRESETS = {"Brain": BRAIN, "Soft tissue": SOFT_TISSUE, "Bone": BONE}

# Of signal without a unit: a small part of it is much the brightest.
_SIGNAL_PERCENTILES = (0.5, 99.5)
_LEVELS = 255
_HU_RANGE = (LOWEST_HU, max(HIGHEST_HU.values()))
# How values are coded, of images in HU and of others.
_VALUES = {
    True: f"HU rounded to whole numbers and cut to {_HU_RANGE[0]:.0f} to {_HU_RANGE[1]:.0f}.",
    False: f"Signal to {_LEVELS + 1} levels from its {_SIGNAL_PERCENTILES[0]} to "
    f"{_SIGNAL_PERCENTILES[1]} percentile.",
}

Codes = NDArray[np.int16]


@dataclass(frozen=True)
class Difference:
    """``first`` minus ``second``, both names of images in HU; saturated at ``most_hu``."""

    name: str
    first: str
    second: str
    most_hu: float


@dataclass(frozen=True, eq=False)
class Viewer:
    """What the page holds of one patient.

    ``about`` is for JSON: grid, images, differences, windows. ``voxels`` holds for each image its
    int16 codes as base64 of zlib, low bytes before high ones, the axis to the patient's left
    fastest, then back, then feet; a value is ``offset + step * code``. ``treatment`` tells people
    what was done to the images.
    """

    about: dict[str, object]
    voxels: tuple[str, ...]
    treatment: str


def make_viewer(
    images: Mapping[str, Volume],
    *,
    differences: Sequence[Difference] = (),
    layers: tuple[str, str],
    body: Volume | None = None,
    most_voxels: int = MOST_VOXELS,
) -> Viewer:
    """Make the copies of one patient's images.

    Parameters
    ----------
    images:
        By the name to be shown, all on one grid of any axis order.
    differences:
        Shown as images of their own, in colours.
    layers:
        Names of the two images that are blended at first.
    body:
        The body mask: the copies are cut to it, and its outline can be shown.
    most_voxels:
        Of a copy; where 2 mm would need more, blocks grow.

    Raises
    ------
    InputRefused
        If the images are not on one grid.
    """
    first = next(iter(images.values()))
    for name, image in images.items():
        check_same_grid(first, image, name=name)
    copy = choose_copy(first, body, most_voxels)
    coded = [
        _coded(name, copy.of(in_viewing_order(image)), image) for name, image in images.items()
    ]
    about: dict[str, object] = {
        "shape": list(coded[0][1].shape),
        "spacingMm": [s * b for s, b in zip(viewed_spacing_mm(first), copy.block, strict=True)],
        "affineRas": copy.affine_ras(first).tolist(),
        "images": [image for image, _ in coded],
        "differences": [vars(difference) for difference in differences],
        "presets": [{"name": n, "level": v[0], "width": v[1]} for n, v in PRESETS.items()],
        "layers": list(layers),
        "hasBody": body is not None,
        "leastVoxels": LEAST_VOXELS,
    }
    voxels = [_packed(codes) for _, codes in coded]
    if body is not None:
        share = copy.of(in_viewing_order(body))
        voxels.append(_packed((share >= 0.5).astype(np.int16)))
    in_hu = {image.unit == "HU" for image in images.values()}
    return Viewer(about, tuple(voxels), _treatment(first, copy, in_hu, cut=body is not None))


def _coded(name: str, shown: FloatVoxels, image: Volume) -> tuple[dict[str, object], Codes]:
    if image.unit == "HU":
        codes = np.rint(np.clip(shown, *_HU_RANGE)).astype(np.int16)
        return {"name": name, "unit": "HU", "offset": 0.0, "step": 1.0}, codes
    low, high = (float(p) for p in np.percentile(image.voxels, _SIGNAL_PERCENTILES))
    step = max(high - low, 1e-6) / _LEVELS
    codes = np.rint((np.clip(shown, low, high) - low) / step).astype(np.int16)
    return {"name": name, "unit": image.unit, "offset": low, "step": step, "low": low,
            "high": low + _LEVELS * step}, codes  # fmt: skip


def _packed(codes: Codes) -> str:
    """Codes (left, back, feet) as text; bytes of one significance together take less room."""
    flat = codes.transpose(2, 1, 0).astype("<i2").reshape(-1, 1).view(np.uint8)
    return base64.b64encode(zlib.compress(flat.T.tobytes())).decode("ascii")


def _treatment(volume: Volume, copy: Copy, in_hu: set[bool], *, cut: bool) -> str:
    """What was done to the images; ``in_hu`` says whether some are in HU, and some are not."""
    times = " \N{MULTIPLICATION SIGN} "
    spacing_mm = viewed_spacing_mm(volume)
    grid = times.join(f"{s * b:.3g}" for s, b in zip(spacing_mm, copy.block, strict=True))
    blocks = times.join(str(b) for b in copy.block)
    is_averaged = max(copy.block) > 1
    origin = f"each is the mean of {blocks} voxels of the grid" if is_averaged else "as in the grid"
    values = [said for is_hu, said in _VALUES.items() if is_hu in in_hu]
    sentences = [
        f"Voxels of {grid} mm, {origin}.",
        *(said.replace("-", "\N{MINUS SIGN}") for said in values),
        "Drawn with linear interpolation.",
    ]
    if cut:
        sentences.insert(0, f"Cut to the body with {MARGIN_MM:.0f} mm around it.")
    return " ".join(sentences)
