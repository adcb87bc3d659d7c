"""A dose comparison as a pipeline writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


def comparison(**changes: Any) -> dict[str, Any]:
    return {
        "schema": "medcyclegan-dose-comparison",
        "version": 1,
        "case": "P01",
        "method": "good",
        "engine": {"name": "a planning system", "version": "0.5.0"},
        "machine": "generic photons, 6 MV",
        "plan": {
            "modality": "photons",
            "beams": [{"gantry_deg": 0.0}, {"gantry_deg": 72.0, "couch_deg": 10.0}],
            "prescribed_gy": 60.0,
            "fractions": 30,
            "spacing_mm": [3.0, 3.0, 3.0],
            "hu_conversion": "generic",
        },
        "gamma": {
            "dose_percent": 2.0, "distance_mm": 2.0, "normalisation": "global",
            "cutoff_percent": 10.0, "pass_rate_percent": 98.7, "points": 12345,
        },
        "structures": [
            {
                "name": "PTV", "role": "target", "volume_ml": 33.5,
                "points": [{"name": "D95", "unit": "Gy", "ct": 58.5, "sct": 58.1}],
            },
            {
                "name": "brainstem", "role": "organ", "volume_ml": 25.0,
                "points": [
                    {"name": "mean", "unit": "Gy", "ct": 12.0, "sct": 12.5, "difference": 0.5}
                ],
            },
        ],
    } | changes  # fmt: skip


def write(folder: Path, name: str = "P01_photons.json", **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(comparison(**changes)), encoding="utf-8")
    return path
