"""Why a score of a patient is not defined, in a sentence: a dash alone leaves it to a guess."""

from __future__ import annotations

import math

from medcyclegan.evaluation.metrics import BONE_ABOVE_HU
from medcyclegan.evaluation.similarity import WINDOW
from medcyclegan.evaluation.study.score_columns import Metric, Result, value_of

_REASONS = {
    "dice_bone": f"neither image has bone, above {BONE_ABOVE_HU:g} HU, inside the mask",
    "nmi": "one of the images has a single value inside the mask",
}
_TISSUES = ("air", "soft", "bone")


def why_undefined(
    result: Result, metrics: tuple[Metric, ...], shape: tuple[int, int, int]
) -> tuple[str, ...]:
    """Return a sentence for each score of similarity and overlap that is NaN.

    ``shape`` is that of the reference, (i, j, k). The errors of a tissue that the reference lacks
    are told together; surfaces and paths have notes of their own.
    """
    missing = [m for m in metrics if math.isnan(value_of(result, m))]
    said = [f"{m.label} is not defined: {_reason(m, shape)}" for m in missing if m.family == "main"]
    columns = {m.column for m in missing}
    lacking = [name for name in _TISSUES if f"mae_{name}_hu" in columns]
    if lacking:
        named = " and ".join({"soft": "soft tissue"}.get(name, name) for name in lacking)
        said.append(f"its errors in {named} are not defined: the reference has none in the mask")
    return tuple(said)


def _reason(metric: Metric, shape: tuple[int, int, int]) -> str:
    if metric.column not in ("ssim", "ms_ssim"):
        return _REASONS.get(metric.column, "there is nothing to compute it from")
    sizes = " x ".join(map(str, shape))
    if min(shape) < WINDOW:
        return (
            f"it needs {WINDOW} voxels and more along each axis, slices among them, and the "
            f"reference has {sizes}"
        )
    return f"no voxel of the mask has a whole window of {WINDOW} voxels about it"
