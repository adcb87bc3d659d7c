"""The viewer of a patient on the page of a study."""

from __future__ import annotations

from medcyclegan.evaluation.coarse import MOST_VOXELS
from medcyclegan.evaluation.columns import DIFFERENCE_HU
from medcyclegan.evaluation.study.images import PatientImages
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer

# Of all images on a page: about a byte each, and browsers take long to open much larger files.
MOST_VOXELS_OF_PAGE = 80_000_000
# Below this an image of a head has voxels of 3 mm and more, and shows little.
_LEAST_VOXELS_OF_IMAGE = 300_000


def patient_viewer(images: PatientImages, *, patients: int) -> Viewer:
    """Make what the page holds of one of its ``patients``; with more of them, copies are coarser.

    The CT and the first method are blended at first.
    """
    shown = {} if images.mr is None else {"MR": images.mr}
    shown["CT"] = images.ct
    made = {_name(method): sct for method, sct in images.scts.items()}
    shown |= made
    differences = [
        Difference(f"{name} \N{MINUS SIGN} CT", name, "CT", DIFFERENCE_HU) for name in made
    ]
    share = MOST_VOXELS_OF_PAGE // (patients * len(shown))
    return make_viewer(
        shown,
        differences=differences,
        layers=("CT", next(iter(made))),
        body=images.mask,
        most_voxels=max(_LEAST_VOXELS_OF_IMAGE, min(MOST_VOXELS, share)),
    )


def _name(method: str) -> str:
    return f"sCT {method}"
