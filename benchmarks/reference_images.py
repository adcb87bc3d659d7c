"""Images that the shipped models are calibrated on, and images that they must flag.

Acquired scans are those of the data folder that ACQUIRED names, with their licences. Simulated
heads are drawn from label maps that no shipped model was trained on, and phantom heads from code
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads import read_head
from benchmarks.straightened import straightened_ct
from medcyclegan import read_scan
from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.resampling import AXIAL, to_geometry
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.simulate.contrasts import standard_signal
from medcyclegan.simulate.label_heads.heads import draw_upright, geometry_of
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import clean_side, noisy_ct, render_ct, render_mr
from medcyclegan.simulate.low_dose_ct import Exposure, scan_and_limit
from medcyclegan.simulate.non_heads import ODD
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.workflow.calibrate import ImageSet, ReferenceImage

Voxels = NDArray[np.float32]

FIELD_OF_VIEW_MM = 250
PHANTOM_SPACING_MM = 1.5
ODD_SPACING_MM = 1.5
# 1 where the display range of a simulated MR ends; a scanner's scale is some hundreds.
SIGNAL_SCALE = 1000.0
# Slices for low doses: filtered back-projection of 256 x 256 pixels takes a second for so many.
DOSE_SLICES, DOSE_SLICE_MM, DOSE_PIXEL_MM = 30, 5.0, 0.95
KERNELS = ("hann", "shepp-logan", "ram-lak")
DOSES = (0.08, 0.25, 0.4)

SIMULATED = "Simulated heads"
PHANTOM = "Phantom heads"


@dataclass(frozen=True)
class Acquired:
    """One acquired scan: where it lies in the data folder, whose it is, of which contrast."""

    path: str
    subject: str
    contrast: str
    data: str


def _openms(patient: int, study: int, *contrasts: str) -> list[Acquired]:
    names = {"t1": "T1W", "t2": "T2W", "flair": "FLAIR"}
    folder = f"mr/openms/patient{patient:02d}"
    return [
        Acquired(f"{folder}/study{study}_{names[c]}.nii.gz", folder, c, "Open MS data")
        for c in contrasts
    ]


ACQUIRED = (
    *_openms(1, 1, "t1", "t2", "flair"), *_openms(1, 2, "t1", "t2", "flair"),
    *_openms(3, 1, "t2", "flair"), *_openms(3, 2, "t1", "t2", "flair"),
    *_openms(4, 1, "t1", "t2", "flair"), *_openms(9, 2, "flair"),
    Acquired("mr/seg3d_t1.nii.gz", "seg3d", "t1", "Seg3D head"),
    Acquired("mr/niivue_t2w.nii.gz", "niivue", "t2", "NiiVue demo images"),
    Acquired("dicom/fnndsc_mr_t1", "fnndsc", "t1", "FNNDSC child"),
    Acquired("dicom/positions/HFP", "decubitus", "t1", "dcm_qa_decubitus"),
    Acquired("dicom/ge_ct_head_tilt", "dcm_qa_ct", "ct", "dcm_qa_ct"),
)  # fmt: skip
BODY_CT = "ct/totalseg_body_3mm.nii.gz"

SETS = (
    ImageSet("Open MS data", "CC BY, University of Ljubljana", lists_files=True),
    ImageSet("Seg3D head", "MIT, University of Utah", lists_files=True),
    ImageSet("NiiVue demo images", "BSD-2-Clause", lists_files=True),
    ImageSet("FNNDSC child", "MIT, pl-mri10yr06mo01da_normal", lists_files=True),
    ImageSet("dcm_qa_decubitus", "BSD-2-Clause", lists_files=True),
    ImageSet("dcm_qa_ct", "BSD-2-Clause", lists_files=True),
    ImageSet(SIMULATED, "Apache-2.0, SynthSeg training label maps", lists_files=True),
    ImageSet(PHANTOM, "Apache-2.0, code of this package", lists_files=True),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What one model is calibrated on: contrasts of its source, and what it makes.

    ``target`` is a side of ``slab_sides.clean_side``; ``slices_mm`` are distances of slices.
    """

    contrasts: tuple[str, ...]
    target: str
    slices_mm: tuple[float, ...]
    low_dose: bool = False
    reverse: str | None = None


PLANS = {
    "head-mr-ct": Plan(("t1", "t2", "flair"), "ct", (1.0, 5.0), reverse="head-ct-mr"),
    "head-ct-mr": Plan(("ct",), "t1", (1.0, 5.0)),
    "head-t1-t2": Plan(("t1",), "t2", (1.0, 5.0)),
    "head-t2-t1": Plan(("t2",), "t1", (1.0, 5.0)),
    "ct-denoise": Plan(("ct",), "ct", (1.0, 5.0), low_dose=True),
}


def acquired(data: Path, contrasts: Sequence[str]) -> Iterator[ReferenceImage]:
    """Yield the acquired scans of some contrasts."""
    for one in ACQUIRED:
        if one.contrast not in contrasts:
            continue
        path = data / one.path
        if one.contrast == "ct":
            scan = scan_of(straightened_ct(path), one.path)
        else:
            scan = read_scan(path, modality="MR")
        yield ReferenceImage(one.path, one.subject, one.data, scan)


def simulated(
    labels: Path, numbers: Sequence[int], plan: Plan, *, prepared: Path | None, pairs: int
) -> Iterator[ReferenceImage]:
    """Yield simulated heads in all contrasts, thin and thick slices in turn.

    The first ``pairs`` heads have the true image too, in one contrast each.
    """
    for place, number in enumerate(numbers):
        head = read_head(labels, number, prepared=prepared)
        slice_mm = plan.slices_mm[place % len(plan.slices_mm)]
        pair = plan.contrasts[place % len(plan.contrasts)]
        is_pair = place < pairs and not plan.low_dose
        for contrast, scan, truth in _head(head, plan, slice_mm=slice_mm, seed=1000 + number):
            name = f"head {number} {contrast} {slice_mm:g} mm"
            known = truth if is_pair and contrast == pair else None
            yield ReferenceImage(name, f"head {number}", SIMULATED, scan, known)
        if plan.low_dose:
            yield _low_dose(head, number, place, with_truth=place < pairs)


def phantoms(plan: Plan) -> Iterator[ReferenceImage]:
    """Yield the phantom's head in each contrast."""
    for seed, contrast in enumerate(plan.contrasts, start=1):
        mr_contrast = "t1" if contrast == "ct" else contrast
        grid = default_geometry(PHANTOM_SPACING_MM)
        subject = make_phantom(grid, contrast=mr_contrast, seed=seed)
        image = subject.ct if contrast == "ct" else subject.mr
        name = f"phantom {seed} {contrast}"
        yield ReferenceImage(name, f"phantom {seed}", PHANTOM, scan_of(image, contrast))


def scan_of(image: Volume, name: str) -> Scan:
    """A volume as a reader would give it."""
    return Scan(image, ItkSourceHeader(), Path(name), "CT" if image.unit == "HU" else "MR")


def _head(
    head: HeadAnatomy, plan: Plan, *, slice_mm: float, seed: int
) -> Iterator[tuple[str, Scan, Volume]]:
    """Yield contrast, acquired image, and the clean one that belongs to it, on one grid.

    MRs are of the usual sequence of their name: what training draws beside it goes as far as
    contrasts of which nobody can say what they are.
    """
    rng = np.random.default_rng(seed)
    grid = SlabGrid(
        depth=round(FIELD_OF_VIEW_MM / slice_mm), size_px=FIELD_OF_VIEW_MM, pixel_mm=1.0,
        slice_spacing_mm=slice_mm, slice_thickness_mm=slice_mm, normal_axis=AXIAL,
    )  # fmt: skip
    slab = draw_upright(head, grid, rng)
    clean = clean_side(plan.target, slab, None, rng)
    truth = Volume(to_voxels(clean), geometry_of(grid), "HU" if plan.target == "ct" else "a.u.")
    for contrast in plan.contrasts:
        if contrast == "ct":
            ct = clean if plan.target == "ct" else render_ct(slab, rng)
            image = Volume(to_voxels(noisy_ct(ct, rng)), geometry_of(grid), "HU")
        else:
            mr = render_mr(slab, signal=standard_signal(contrast), rng=rng)
            image = Volume(to_voxels(mr * np.float32(SIGNAL_SCALE)), geometry_of(grid), "a.u.")
        yield contrast, scan_of(image, contrast), truth


def _low_dose(head: HeadAnatomy, number: int, place: int, *, with_truth: bool) -> ReferenceImage:
    """A head at a low dose, and what no noise would give; dose and kernel in turn."""
    dose, kernel = DOSES[place % len(DOSES)], KERNELS[place % len(KERNELS)]
    rng = np.random.default_rng(number)
    grid = SlabGrid(
        depth=DOSE_SLICES,
        size_px=256,
        pixel_mm=DOSE_PIXEL_MM,
        slice_spacing_mm=DOSE_SLICE_MM,
        slice_thickness_mm=DOSE_SLICE_MM,
        normal_axis=AXIAL,
    )
    exact = to_voxels(render_ct(draw_upright(head, grid, rng), rng))
    exposure = Exposure(dose=dose, kernel=kernel)
    low, limit = scan_and_limit(exact, grid.pixel_mm, exposure, rng=rng)
    geometry = geometry_of(grid)
    name = f"head {number} dose {dose:g}, {kernel}"
    truth = Volume(limit, geometry, "HU") if with_truth else None
    scan = scan_of(Volume(low, geometry, "HU"), name)
    return ReferenceImage(name, f"head {number}", SIMULATED, scan, truth)


def to_voxels(slab: Voxels) -> Voxels:
    """(D, H, W) of an axial slab as (i, j, k) on the grid that ``geometry_of`` gives it."""
    return np.ascontiguousarray(slab.transpose(1, 2, 0)[::-1, ::-1], dtype=np.float32)


def odd_images(data: Path, plan: Plan) -> Iterator[ReferenceImage]:
    """Yield what a model must flag: no heads, parts of heads, other contrasts, other sizes."""
    made: dict[str, Callable[[], Scan]] = {}
    if "ct" in plan.contrasts:
        made |= {name: partial(_odd_ct, name, data) for name in ODD_CT}
    else:
        made |= {name: partial(_odd_mr, name) for name in ODD}
        others = {"t1", "t2", "flair"} - set(plan.contrasts)
        for one in ACQUIRED:
            if one.contrast in others:
                path = data / one.path
                made[f"{one.contrast}: {one.path}"] = partial(read_scan, path, modality="MR")
    for name, make in made.items():
        yield ReferenceImage(name, name, "odd", make())


def _odd_mr(name: str) -> Scan:
    return scan_of(ODD[name](ODD_SPACING_MM), name)


ODD_CT = (
    "body CT of 3 mm", "its abdomen", "its chest", "body CT at 1 mm", "body CT in a head's view",
    "ball of water", "head cropped to 30 mm", "head at 3 mm", "head with noise of 200 HU",
    "head without fat", "HU + 1024",
)  # fmt: skip


def _odd_ct(name: str, data: Path) -> Scan:
    """A CT by its name in ``ODD_CT``."""
    if name in ODD_CT[:5]:
        return scan_of(_of_the_body(name, read_scan(data / BODY_CT, modality="CT").volume), name)
    if name == "ball of water":
        ball = ODD[name](ODD_SPACING_MM)
        noise = np.random.default_rng(5).normal(0.0, 10.0, ball.voxels.shape)
        hu = np.where(ball.voxels > 300.0, 0.0, -1000.0) + noise
        return scan_of(ball.with_voxels(hu.astype(np.float32), unit="HU"), name)
    rng = np.random.default_rng(5)
    spacing_mm = 3.0 if name == "head at 3 mm" else 1.0
    ct = make_phantom(default_geometry(spacing_mm), contrast="t1", seed=3).ct
    voxels = ct.voxels
    if name == "head cropped to 30 mm":
        first = voxels.shape[2] // 2
        return scan_of(_cropped(ct, slice(first, first + 30)), name)
    if name == "head with noise of 200 HU":
        voxels = voxels + rng.normal(0.0, 200.0, voxels.shape)
    elif name == "head without fat":
        voxels = np.where((voxels > -150.0) & (voxels < -20.0), 40.0, voxels)
    elif name == "HU + 1024":
        voxels = voxels + 1024.0
    return scan_of(ct.with_voxels(voxels.astype(np.float32)), name)


def _of_the_body(name: str, body: Volume) -> Volume:
    """Parts of a CT of the trunk, and it on other grids."""
    slices = body.geometry.shape[2]
    if name == "its abdomen":
        return _cropped(body, slice(0, slices // 2))
    if name == "its chest":
        return _cropped(body, slice(slices // 2, slices))
    if name == "body CT of 3 mm":
        return body
    length_mm = np.asarray(body.geometry.shape) * body.geometry.spacing_mm
    if name == "body CT in a head's view":
        length_mm = np.minimum(length_mm, 220.0)
    fine = Geometry(tuple(int(n) for n in length_mm), _affine_of_1_mm(body, length_mm))  # type: ignore[arg-type]
    return to_geometry(body, fine, fill=-1000.0)


def _affine_of_1_mm(body: Volume, length_mm: np.ndarray) -> np.ndarray:
    """1 mm along the axes of a volume, around its middle."""
    affine = body.geometry.affine_ras.copy()
    affine[:3, :3] = body.geometry.directions_ras
    middle = body.geometry.to_world((np.asarray(body.geometry.shape) - 1) / 2.0)
    affine[:3, 3] = middle - affine[:3, :3] @ ((length_mm.astype(int) - 1) / 2.0)
    return affine


def _cropped(image: Volume, slices: slice) -> Volume:
    """Some slices of a volume, in their place."""
    voxels = np.ascontiguousarray(image.voxels[:, :, slices])
    affine = image.geometry.affine_ras.copy()
    affine[:3, 3] = image.geometry.to_world(np.array([0.0, 0.0, float(slices.start)]))
    i, j, k = voxels.shape
    return Volume(voxels, Geometry((i, j, k), affine), image.unit)
