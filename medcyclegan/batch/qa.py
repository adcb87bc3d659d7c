"""Figures that tell, without a true CT, whether a synthetic image is worth a look."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np

from medcyclegan.evaluation.metrics import AIR_BELOW_HU, BONE_ABOVE_HU
from medcyclegan.evaluation.no_reference import no_reference
from medcyclegan.io.scan import Scan
from medcyclegan.synthesis import Synthesis


def qa_figures(scan: Scan, synthesis: Synthesis) -> dict[str, float]:
    """Return extremes, the body's volume, for HU its median and shares of air and bone, and the
    signs of ``no_reference`` and those of doubt; without what is not defined.
    """
    image = synthesis.image
    inside = image.voxels[synthesis.body.voxels > 0]
    figures = {
        "minimum": round(float(image.voxels.min()), 1),
        "maximum": round(float(image.voxels.max()), 1),
    }
    if not scan.is_plane:
        millilitres = inside.size * float(np.prod(image.geometry.spacing_mm)) / 1000.0
        figures["body_ml"] = round(millilitres, 1)
    if image.unit == "HU" and inside.size:
        figures |= {
            "body_median_hu": round(float(np.median(inside)), 1),
            "body_air_percent": round(100.0 * float((inside < AIR_BELOW_HU).mean()), 2),
            "body_bone_percent": round(100.0 * float((inside > BONE_ABOVE_HU).mean()), 2),
        }
    if synthesis.signs is not None:
        figures |= {name: round(value, 4) for name, value in synthesis.signs.figures().items()}
    signs = asdict(no_reference(scan.volume, image, synthesis.body))
    return figures | {name: round(sign, 3) for name, sign in signs.items() if math.isfinite(sign)}
