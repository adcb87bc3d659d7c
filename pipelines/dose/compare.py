"""Plan on a true CT, recompute on the synthetic CT with the same weights, and compare the doses.

    python pipelines/dose/compare.py --case p01 --ct ct.nii.gz --sct sct.nii.gz \
        --target target.nii.gz --organ brainstem=brainstem.nii.gz --modality protons --out doses/

Writes ``p01_protons.json`` and ``p01_protons.png`` into the folder, which ``medcyclegan evaluate
--dose-from doses/`` reads. docs/dose.md says how to install the planning system, what is planned,
and what the figures mean. No clinical calculation: generic machine data, nothing commissioned.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk  # noqa: N813
from pyRadPlan import (
    IonPlan,
    PhotonPlan,
    calc_dose_influence,
    fluence_optimization,
    generate_stf,
    validate_cst,
    validate_ct,
)
from pyRadPlan.cst import create_voi
from pyRadPlan.optimization.objectives import SquaredDeviation, SquaredOverdosing
from scipy import ndimage

mpl.use("Agg")
from matplotlib import pyplot as plt

# Scripts of a folder find each other however they are started.
sys.path.insert(0, str(Path(__file__).parent))
from measures import (
    GammaCriterion,
    Planned,
    beam_direction,
    comparison_record,
    dvh,
    gamma_passes,
    gamma_record,
    range_differences_mm,
    range_record,
    structure_record,
)

PRESCRIBED_GY, FRACTIONS = 60.0, 30
SPACING_MM = (3.0, 3.0, 3.0)
MARGIN_MM = 15.0
AIR_HU, SKIN_HU = -1000.0, -400.0
BEAMS_DEG = {"photons": (0.0, 72.0, 144.0, 216.0, 288.0), "protons": (60.0, 120.0)}
BIXEL_MM = 5.0
NOTES = (
    "Generic machine data of pyRadPlan (matRad): not commissioned for any machine, no clinical "
    "calculation.",
    "The target's mean can agree where the range does not: see the range error.",
)


@dataclass(frozen=True)
class Patient:
    """CT and synthetic CT in HU and masks, all on one grid of 3 mm with axes along L, P, S."""

    ct: sitk.Image
    sct: sitk.Image
    body: sitk.Image
    target: sitk.Image
    organs: dict[str, sitk.Image]


def main() -> None:
    """Parse the arguments, plan, recompute, write the record and the figure."""
    arguments = _arguments()
    begun = time.perf_counter()
    patient = load(arguments)
    beams = arguments.gantry or BEAMS_DEG[arguments.modality]
    planned = Planned(arguments.modality, beams, PRESCRIBED_GY, FRACTIONS, SPACING_MM)
    ct_gy, sct_gy = doses(patient, planned)
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = "_".join(part for part in (arguments.case, arguments.method, planned.modality) if part)
    figure = arguments.out / f"{stem}.png"
    record = compare(patient, planned, ct_gy, sct_gy, about=_about(arguments, figure.name))
    draw(figure, patient, ct_gy, sct_gy, record)
    part = arguments.out / f".{stem}.json.part"
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(part, arguments.out / f"{stem}.json")
    gamma = record["gamma"]
    print(f"gamma 2 %/2 mm {gamma['pass_rate_percent']:.2f} % of {gamma['points']} points")
    if "range_error" in record:
        print(f"range error {record['range_error']['mean_mm']:+.2f} mm (mean)")
    print(f"{arguments.out / stem}.json, {time.perf_counter() - begun:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", required=True, help="as evaluate names the patient")
    parser.add_argument("--method", default="", help="as in evaluate --pred NAME=PATH")
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--sct", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True, help="mask, above 0 in the target")
    parser.add_argument("--organ", action="append", default=[], metavar="NAME=MASK")
    parser.add_argument("--modality", choices=sorted(BEAMS_DEG), default="photons")
    parser.add_argument("--gantry", type=float, nargs="+", help="angles in degrees")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _about(arguments: argparse.Namespace, figure: str) -> dict[str, Any]:
    machine = f"pyRadPlan {arguments.modality} Generic"
    return {
        "case": arguments.case,
        "method": arguments.method,
        "engine": {"name": "pyRadPlan", "version": version("pyRadPlan")},
        "machine": machine,
        "figure": figure,
        "notes": list(NOTES),
    }


def load(arguments: argparse.Namespace) -> Patient:
    """Read all images and bring them onto one grid of 3 mm around the body of the true CT."""
    ct = sitk.ReadImage(str(arguments.ct), sitk.sitkFloat32)
    grid = _grid_around_body(ct)
    on_grid = _onto(ct, grid, AIR_HU)
    masks = {"target": arguments.target}
    for given in arguments.organ:
        name, sign, path = given.partition("=")
        if not sign or name in masks:
            sys.exit(f"--organ {given}: give NAME=MASK, each name once")
        masks[name] = Path(path)
    found = {name: _mask(path, grid) for name, path in masks.items()}
    sct = _onto(sitk.ReadImage(str(arguments.sct), sitk.sitkFloat32), grid, AIR_HU)
    target = found.pop("target")
    body = _body(on_grid)
    outside = (sitk.GetArrayViewFromImage(target) > 0) & (sitk.GetArrayViewFromImage(body) == 0)
    if outside.mean() > 0.5 * (sitk.GetArrayViewFromImage(target) > 0).mean():
        sys.exit(f"{arguments.target}: most of the target lies outside the body of {arguments.ct}")
    return Patient(on_grid, sct, body, target, found)


def _mask(path: Path, grid: sitk.Image) -> sitk.Image:
    mask = sitk.Cast(sitk.ReadImage(str(path), sitk.sitkFloat32) > 0, sitk.sitkFloat32)
    found = sitk.Cast(_onto(mask, grid, 0.0) >= 0.5, sitk.sitkUInt8)
    if not sitk.GetArrayViewFromImage(found).any():
        sys.exit(f"{path}: marks no voxel in the body of the true CT")
    return found


def _grid_around_body(ct: sitk.Image) -> sitk.Image:
    """An empty image of 3 mm, axes along L, P, S, around what is denser than air."""
    index = np.argwhere(sitk.GetArrayViewFromImage(ct) > SKIN_HU)[:, ::-1]
    corners = np.array(np.meshgrid(*zip(index.min(0), index.max(0), strict=True))).reshape(3, -1).T
    points = np.array(
        [ct.TransformContinuousIndexToPhysicalPoint(c.astype(float).tolist()) for c in corners]
    )
    low, high = points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM
    grid = sitk.Image([int(n) for n in np.ceil((high - low) / SPACING_MM)], sitk.sitkUInt8)
    grid.SetSpacing(SPACING_MM)
    grid.SetOrigin(low.tolist())
    return grid


def _onto(image: sitk.Image, grid: sitk.Image, fill: float) -> sitk.Image:
    """Smooth to 3 mm and resample."""
    sigma = [np.sqrt(max(9.0 - mm**2, 0.0)) / 2.355 for mm in image.GetSpacing()]
    smooth = sitk.DiscreteGaussian(image, [max(float(s) ** 2, 1e-6) for s in sigma])
    return sitk.Resample(smooth, grid, sitk.Transform(), sitk.sitkLinear, fill, sitk.sitkFloat32)


def _body(ct: sitk.Image) -> sitk.Image:
    dense = sitk.GetArrayViewFromImage(ct) > SKIN_HU
    labels, count = ndimage.label(ndimage.binary_opening(dense, iterations=1))
    sizes = ndimage.sum_labels(dense, labels, range(1, count + 1))
    whole = ndimage.binary_closing(labels == 1 + int(np.argmax(sizes)), iterations=2)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in whole])
    body = sitk.GetImageFromArray(filled.astype(np.uint8))
    body.CopyInformation(ct)
    return body


def doses(patient: Patient, planned: Planned) -> tuple[sitk.Image, sitk.Image]:
    """Optimise on the true CT; return the doses (Gy) on it and, by the same weights, on the other.

    Both are scaled by one factor, so that half of the target gets the prescription on the true CT.
    """
    pln = _plan(planned)
    ct = validate_ct(cube_hu=patient.ct)
    cst = _structures(patient, ct)
    stf = generate_stf(ct, cst, pln)
    influence = calc_dose_influence(ct, cst, stf, pln)
    weights = fluence_optimization(ct, cst, stf, influence, pln)
    ct_dose = influence.compute_result_ct_grid(weights)["physical_dose"]
    del influence
    other = validate_ct(cube_hu=patient.sct)
    influence = calc_dose_influence(other, _structures(patient, other), stf, pln)
    sct_dose = influence.compute_result_ct_grid(weights)["physical_dose"]
    inside = sitk.GetArrayViewFromImage(patient.target) > 0
    scale = planned.prescribed_gy / float(np.median(sitk.GetArrayViewFromImage(ct_dose)[inside]))
    return ct_dose * scale, sct_dose * scale


def _plan(planned: Planned) -> PhotonPlan | IonPlan:
    kind = PhotonPlan if planned.modality == "photons" else IonPlan
    pln = kind(machine="Generic", num_of_fractions=planned.fractions)
    pln.prop_stf = {
        "gantry_angles": list(planned.gantry_deg),
        "couch_angles": [0.0] * len(planned.gantry_deg),
        "bixel_width": BIXEL_MM,
    }
    pln.prop_dose_calc = {"dose_grid": {"resolution": dict(zip("xyz", SPACING_MM, strict=True))}}
    pln.prop_opt = {"solver": "scipy"}
    return pln


def _structures(patient: Patient, ct: Any) -> Any:
    target = create_voi(voi_type="TARGET", name="target", ct_image=ct, mask=patient.target)
    target.objectives = [SquaredDeviation(priority=100.0, d_ref=PRESCRIBED_GY)]
    body = create_voi(voi_type="EXTERNAL", name="body", ct_image=ct, mask=patient.body)
    body.objectives = [SquaredOverdosing(priority=10.0, d_max=0.3 * PRESCRIBED_GY)]
    return validate_cst([target, body], ct=ct)


def compare(
    patient: Patient,
    planned: Planned,
    ct_dose: sitk.Image,
    sct_dose: sitk.Image,
    *,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Return the record of a comparison; doses in Gy on the grid of the patient."""
    ct_gy, sct_gy = _array(ct_dose), _array(sct_dose)
    criterion = GammaCriterion()
    target = _array(patient.target) > 0
    structures = [
        structure_record("target", target, (ct_gy, sct_gy), planned, is_target=True),
        *(
            structure_record(name, _array(mask) > 0, (ct_gy, sct_gy), planned, is_target=False)
            for name, mask in patient.organs.items()
        ),
    ]
    parts = {
        "gamma": gamma_record(gamma_passes(ct_gy, sct_gy, SPACING_MM, criterion), criterion),
        "structures": structures,
    }
    if planned.modality != "photons":
        rays = [
            range_differences_mm(
                _array(patient.ct), _array(patient.sct), target, SPACING_MM, beam_direction(angle)
            )
            for angle in planned.gantry_deg
        ]
        parts["range_error"] = range_record(np.concatenate(rays))
    return comparison_record(about, planned, **parts)


def _array(image: sitk.Image) -> np.ndarray:
    """(x, y, z), float64."""
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float64)


def draw(
    to: Path, patient: Patient, ct_dose: sitk.Image, sct_dose: sitk.Image, record: dict[str, Any]
) -> None:
    """Draw the dose-volume histograms, and the dose and its difference through the target."""
    ct_gy, sct_gy = _array(ct_dose), _array(sct_dose)
    hu, target = _array(patient.ct), _array(patient.target) > 0
    figure, axes = plt.subplots(1, 3, figsize=(13.0, 4.2), layout="constrained")
    grid_gy = np.linspace(0.0, 1.1 * ct_gy.max(), 300)
    masks = {"target": target, **{n: _array(m) > 0 for n, m in patient.organs.items()}}
    for number, (name, mask) in enumerate(masks.items()):
        for dose, style, of in ((ct_gy, "-", "CT"), (sct_gy, "--", "synthetic CT")):
            curve = dvh(dose, mask, grid_gy)
            axes[0].plot(grid_gy, curve, style, color=f"C{number}", label=f"{name}, {of}")
    axes[0].set(xlabel="Dose (Gy)", ylabel="Volume (%)", ylim=(0, 102), xlim=(0, grid_gy[-1]))
    axes[0].legend(fontsize=7, frameon=False)
    level = int(np.argmax(target.sum(axis=(0, 1))))
    error = (sct_gy - ct_gy)[:, :, level]
    most = max(0.02 * PRESCRIBED_GY, float(np.percentile(np.abs(error), 99.5)))
    shown = ((ct_gy[:, :, level], "Dose on the CT (Gy)", "inferno", 0.0, float(ct_gy.max())),
             (error, "Synthetic CT - CT (Gy)", "RdBu_r", -most, most))  # fmt: skip
    for axis, (image, title, colours, low, high) in zip(axes[1:], shown, strict=True):
        axis.imshow(hu[:, :, level].T, cmap="gray", vmin=-400, vmax=1200)
        found = axis.imshow(image.T, cmap=colours, vmin=low, vmax=high, alpha=0.6)
        axis.contour(target[:, :, level].T, [0.5], colors="lime", linewidths=0.8)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
        figure.colorbar(found, ax=axis, shrink=0.8)
    gamma = record["gamma"]["pass_rate_percent"]
    said = f"{record['case']}, {record['plan']['modality']}: gamma 2 %/2 mm {gamma:.1f} %"
    if "range_error" in record:
        said += f", range error {record['range_error']['mean_mm']:+.2f} mm"
    figure.suptitle(f"{said}. Generic machine data: no clinical calculation.", fontsize=9)
    figure.savefig(to, dpi=110, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
