"""The scores of a study by their columns: labels, units, families, and which a protocol has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from medcyclegan.evaluation.metrics import HIGHEST_HU

# A table of the report each.
Family = Literal["main", "tissue", "bias", "surface", "path"]
FAMILIES: dict[Family, str] = {
    "main": "Scores",
    "tissue": "Errors by tissue",
    "bias": "Mean errors by tissue",
    "surface": "Surfaces",
    "path": "Water-equivalent path",
}


class Result(Protocol):
    """What a study has of one scored image."""

    @property
    def case(self) -> str: ...
    @property
    def method(self) -> str: ...
    def value(self, column: str) -> float:
        """A score by its column; NaN where there is none."""


@dataclass(frozen=True)
class Metric:
    """A score by its column, with how people write it.

    ``better`` is ``lower``, ``higher`` or ``nearer to 0``. Methods are compared by those that are
    ``tested``: each further test makes all others of a study stricter.
    """

    column: str
    label: str
    unit: str
    better: str
    digits: int
    family: Family = "main"
    tested: bool = True

    @property
    def title(self) -> str:
        """The label with its unit, as axes and headings have it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


_SIGNED_AND_SQUARED: tuple[tuple[str, str, str, Family], ...] = (
    ("rmse", "RMSE", "lower", "tissue"),
    ("me", "ME", "nearer to 0", "bias"),
)
METRICS = (
    Metric("mae_hu", "MAE", "HU", "lower", 1),
    Metric("psnr_db", "PSNR", "dB", "higher", 2),
    Metric("ssim", "SSIM", "", "higher", 4),
    Metric("ms_ssim", "MS-SSIM", "", "higher", 4),
    Metric("dice_bone", "Bone Dice", "", "higher", 3),
    Metric("mae_air_hu", "MAE, air", "HU", "lower", 1, "tissue"),
    Metric("mae_soft_hu", "MAE, soft tissue", "HU", "lower", 1, "tissue"),
    Metric("mae_bone_hu", "MAE, bone", "HU", "lower", 1, "tissue"),
    *(
        Metric(f"{column}_hu", f"{label}{tissue}", "HU", better, 1, family, tested=False)
        for column, label, better, family in _SIGNED_AND_SQUARED
        for column, tissue in (
            (column, ""),
            (f"{column}_air", ", air"),
            (f"{column}_soft", ", soft tissue"),
            (f"{column}_bone", ", bone"),
        )
    ),
    Metric("hd95_bone_mm", "HD95, bone", "mm", "lower", 2, "surface", tested=False),
    Metric("msd_bone_mm", "Mean distance, bone", "mm", "lower", 2, "surface", tested=False),
    Metric("hd95_body_mm", "HD95, body", "mm", "lower", 2, "surface", tested=False),
    Metric("msd_body_mm", "Mean distance, body", "mm", "lower", 2, "surface", tested=False),
)
# With --wepl, and the last three with a target.
PATH_METRICS = (
    Metric("wepl_mean_mm", "Mean WEPL error", "mm", "nearer to 0", 2, "path", tested=False),
    Metric("wepl_sd_mm", "SD of WEPL error", "mm", "lower", 2, "path", tested=False),
    Metric("wepl_p95_mm", "95 % of |WEPL error|", "mm", "lower", 2, "path"),
    Metric("range_mean_mm", "Mean range error", "mm", "nearer to 0", 2, "path", tested=False),
    Metric("range_sd_mm", "SD of range error", "mm", "lower", 2, "path", tested=False),
    Metric("range_p95_mm", "95 % of |range error|", "mm", "lower", 2, "path"),
)
# Of MRs and pictures, whose signal has no unit.
SIGNAL_METRICS = (
    Metric("mae_percent", "MAE", "% of the range", "lower", 2),
    Metric("psnr_db", "PSNR", "dB", "higher", 2),
    Metric("ssim", "SSIM", "", "higher", 4),
    Metric("nmi", "NMI", "", "higher", 4),
)


def metrics_of(protocol: str, *, paths: Literal["", "body", "target"] = "") -> tuple[Metric, ...]:
    """The scores of a protocol of CTs, or of a range of signal; ``paths`` says where rays end."""
    if protocol not in HIGHEST_HU:
        return SIGNAL_METRICS
    other = "ms_ssim" if protocol == "synthrad2023" else "ssim"
    asked = {"": 0, "body": 3, "target": 6}[paths]
    return tuple(m for m in METRICS if m.column != other) + PATH_METRICS[:asked]


def value_of(result: Result, metric: Metric) -> float:
    """A score by its column; NaN where the protocol has none."""
    return result.value(metric.column)
