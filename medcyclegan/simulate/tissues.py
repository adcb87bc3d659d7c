"""Tissues of the head with their MR relaxation and CT numbers.

PD (relative to water), T1 and T2 at 1.5 to 3 T are rounded means of the spread that textbooks and
reviews give (Stanisz et al., MRM 2005, 54:507; Bojorquez et al., MRI 2017, 35:69); HU are those of
120 kVp diagnostic CT. Cortical bone and air give next to no signal at common echo times.

TENDON stands for all dense collagen (tendon, ligament, aponeurosis, periosteum): as dark as bone
in most MR, for its T2 is 1 to 5 ms (Robson and Bydder, NMR Biomed 2006, 19:765), and soft tissue in
CT. GLAND is salivary gland, fat and water mixed.

DIPLOE is the spongy bone of the vault: marrow with 35 % of its volume in trabeculae, so that its HU
are 0.35 x 1900 + 0.65 x 10, within the 520 to 1130 HU of real vaults, and its signal is 65 % of
marrow's. OTIC_BONE is the capsule of the inner ear, the densest bone (1800 to 2200 HU). TOOTH is
dentine, ENAMEL the cover of its crown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Tissue(IntEnum):
    """Labels that phantoms and label maps are reduced to; the value is the voxel's label."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    MARROW = 5
    CSF = 6
    GREY_MATTER = 7
    WHITE_MATTER = 8
    DEEP_GREY = 9
    EYE_FLUID = 10
    LENS = 11
    MUCOSA = 12
    BLOOD = 13
    CORD = 14
    TOOTH = 15
    TENDON = 16
    CARTILAGE = 17
    DURA = 18
    GLAND = 19
    DIPLOE = 20
    OTIC_BONE = 21
    ENAMEL = 22


@dataclass(frozen=True)
class TissueProperties:
    """Means for one tissue; ``hu_sd`` is the spread between subjects, not noise."""

    proton_density: float
    t1_ms: float
    t2_ms: float
    hu: float
    hu_sd: float


PROPERTIES: dict[Tissue, TissueProperties] = {
    Tissue.AIR: TissueProperties(0.0, 1000.0, 10.0, -1000.0, 0.0),
    Tissue.SKIN: TissueProperties(0.75, 900.0, 35.0, 20.0, 40.0),
    Tissue.FAT: TissueProperties(0.95, 330.0, 70.0, -95.0, 12.0),
    Tissue.MUSCLE: TissueProperties(0.80, 1150.0, 38.0, 55.0, 8.0),
    Tissue.CORTICAL_BONE: TissueProperties(0.08, 300.0, 1.0, 1350.0, 220.0),
    Tissue.MARROW: TissueProperties(0.80, 420.0, 60.0, 420.0, 170.0),
    Tissue.CSF: TissueProperties(1.00, 4000.0, 1800.0, 8.0, 4.0),
    Tissue.GREY_MATTER: TissueProperties(0.82, 1350.0, 95.0, 37.0, 3.0),
    Tissue.WHITE_MATTER: TissueProperties(0.70, 830.0, 76.0, 28.0, 3.0),
    Tissue.DEEP_GREY: TissueProperties(0.78, 1150.0, 80.0, 38.0, 3.0),
    Tissue.EYE_FLUID: TissueProperties(1.00, 3800.0, 1200.0, 10.0, 5.0),
    Tissue.LENS: TissueProperties(0.65, 1000.0, 30.0, 90.0, 15.0),
    Tissue.MUCOSA: TissueProperties(0.90, 1400.0, 110.0, 35.0, 12.0),
    Tissue.BLOOD: TissueProperties(0.85, 1800.0, 150.0, 50.0, 8.0),
    Tissue.CORD: TissueProperties(0.75, 950.0, 78.0, 33.0, 5.0),
    Tissue.TOOTH: TissueProperties(0.05, 300.0, 1.0, 1700.0, 120.0),
    Tissue.TENDON: TissueProperties(0.50, 600.0, 2.5, 85.0, 15.0),
    Tissue.CARTILAGE: TissueProperties(0.75, 1000.0, 28.0, 100.0, 25.0),
    Tissue.DURA: TissueProperties(0.60, 900.0, 12.0, 65.0, 10.0),
    Tissue.GLAND: TissueProperties(0.87, 750.0, 72.0, 15.0, 20.0),
    Tissue.DIPLOE: TissueProperties(0.52, 420.0, 60.0, 672.0, 130.0),
    Tissue.OTIC_BONE: TissueProperties(0.05, 300.0, 1.0, 2000.0, 80.0),
    Tissue.ENAMEL: TissueProperties(0.02, 300.0, 1.0, 2750.0, 120.0),
}

# Bone with what fills it; teeth are not.
BONE_TISSUES = (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.DIPLOE, Tissue.OTIC_BONE)

# Tissues that vary between people as another does, with one draw for both; they come last.
_VARIES_AS = {
    Tissue.DIPLOE: Tissue.MARROW,
    Tissue.OTIC_BONE: Tissue.CORTICAL_BONE,
    Tissue.ENAMEL: Tissue.TOOTH,
}
INDEPENDENT = len(Tissue) - len(_VARIES_AS)


def by_tissue(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what was drawn for the independent tissues, (..., INDEPENDENT), for all of them."""
    return np.asarray(drawn[..., [_VARIES_AS.get(tissue, tissue) for tissue in Tissue]])


def column(name: str) -> NDArray[np.float64]:
    """Return one property of all tissues, (number of tissues,), by the tissue's label."""
    return np.array([getattr(PROPERTIES[tissue], name) for tissue in Tissue], dtype=np.float64)
