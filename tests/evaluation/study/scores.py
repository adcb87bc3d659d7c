"""Results with chosen scores, for what is computed from scores alone."""

from __future__ import annotations

import numpy as np

from medcyclegan.evaluation.metrics import Scores
from medcyclegan.evaluation.study.statistics import (
    ERROR_EDGES_HU,
    HEIGHTS_PERCENT,
    JOINT_EDGES_HU,
    Measured,
)

_JOINT = np.eye(len(JOINT_EDGES_HU) - 1, dtype=np.int64)


def result(case: str, method: str, mae_hu: float, **changes: float) -> Measured:
    """A result by protocol synthrad2023 in which all but the MAE follows from it."""
    values = {
        "psnr_db": 40.0 - mae_hu / 10.0, "ssim": 1.0 - mae_hu / 1000.0, "ms_ssim": None,
        "dice_bone": 0.9 - mae_hu / 1000.0, "mae_air_hu": mae_hu * 2.0,
        "mae_soft_hu": mae_hu / 2.0, "mae_bone_hu": mae_hu * 3.0,
    } | changes  # fmt: skip
    for tissue in ("", "_air", "_soft", "_bone"):
        values[f"me{tissue}_hu"] = -mae_hu / 10.0
        values[f"rmse{tissue}_hu"] = mae_hu * 1.5
    curve = np.full(HEIGHTS_PERCENT.shape, mae_hu)
    counts = np.ones(len(ERROR_EDGES_HU) - 1, dtype=np.int64)
    regions = ((0.0, 1.0), (-990.0, -1000.0), (41.0, 40.0), (700.0, 800.0))
    scores = Scores(protocol="synthrad2023", mae_hu=mae_hu, **values)  # type: ignore[arg-type]
    return Measured(case, method, scores, regions, counts, _JOINT, curve, -curve, False, ())
