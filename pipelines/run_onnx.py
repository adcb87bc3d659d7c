"""Make a synthetic CT of a head MR without torch and without medcyclegan.

    python pipelines/run_onnx.py MODEL.onnx MR.nii.gz SCT.nii.gz [MASK.nii.gz]

Needs nibabel, numpy and onnxruntime. MODEL.onnx is from ``medcyclegan export-onnx``, MASK marks the
head by > 0; without it, what is brighter than the mean counts. Left out of what ``synth-ct`` does:
finding the head, resampling (voxels must have the model's spacing), thick slices along their own
axis, several images, all checks and warnings. Research use only.
"""

from __future__ import annotations

import json
import sys

import nibabel as nib
import numpy as np
import onnxruntime


def main(model: str, source: str, target: str, mask: str | None = None) -> None:
    """Run a NIfTI through the ONNX file; the result lies on the grid of the source."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    task = json.loads(session.get_modelmeta().custom_metadata_map["card"])["task"]
    image = nib.load(source)
    mr = in_model_order(image)
    spacing = np.array(nib.as_closest_canonical(image).header.get_zooms())[[2, 0, 1]]
    if task["spacing_mm"] and np.abs(spacing / task["spacing_mm"] - 1).max() > 0.05:
        sys.exit(f"{source}: voxels of {spacing} mm; the model takes {task['spacing_mm']} mm")
    inside = in_model_order(nib.load(mask)) > 0 if mask else mr > mr.mean()
    scaling = task["source"]["scaling"]
    low, high = scaling["lower"], scaling["upper"]
    if scaling["kind"] == "percentiles":
        low, high = np.percentile(mr[inside], (low, high))
    scaled = np.clip(2 * (mr - low) / (high - low) - 1, -1, 1).astype(np.float32)
    # the box around the head with 12 mm of margin, as the model has seen heads; beyond the scan, -1
    margin = np.ceil(12 / spacing).astype(int)
    edges = zip(np.nonzero(inside), margin, strict=True)
    box = tuple(slice(at.min(), at.max() + 1 + 2 * wide) for at, wide in edges)
    seen = np.pad(scaled, [(n, n) for n in margin], constant_values=-1)[box]
    made = translate(session, seen, task)
    if task["mirror"]:  # left for right too, and the mean of both
        made = (made + translate(session, seen[:, ::-1], task)[:, ::-1]) / 2
    whole = np.full(mr.shape + 2 * margin, -1, dtype=np.float32)
    whole[box] = made
    whole = whole[tuple(slice(n, -n) for n in margin)]
    window = task["target"]["scaling"]
    span = window["upper"] - window["lower"]
    hu = np.rint(window["lower"] + (np.clip(whole, -1, 1) + 1) / 2 * span).astype(np.int16)
    ras = nib.Nifti1Image(hu.transpose(1, 2, 0), nib.as_closest_canonical(image).affine)
    back = nib.orientations.ornt_transform(
        nib.io_orientation(ras.affine), nib.io_orientation(image.affine)
    )
    nib.save(nib.Nifti1Image(ras.as_reoriented(back).dataobj, image.affine), target)


def in_model_order(image: nib.Nifti1Image) -> np.ndarray:
    """Voxels as (S, R, A), each axis counted towards its letter: axial slices first."""
    return nib.as_closest_canonical(image).get_fdata(dtype=np.float32).transpose(2, 0, 1)


def translate(session: onnxruntime.InferenceSession, volume: np.ndarray, task: dict) -> np.ndarray:
    """Cut slabs of ``depth`` slices, run them, and blend what comes out, middle slices most."""
    depth, stride = task["depth"], task["stride"] or (task["depth"] + 1) // 2
    end = max(0, len(volume) - depth)
    total, weights = np.zeros_like(volume), np.zeros((len(volume), 1, 1), dtype=np.float32)
    for start in [*range(0, end, stride), end]:
        slices = np.minimum(np.arange(start, start + depth), len(volume) - 1)
        (made,) = session.run(["target"], {"source": volume[slices][None]})
        for n in range(min(depth, len(volume) - start)):
            weight = 1 + min(n, depth - 1 - n)
            total[start + n] += weight * made[0, n]
            weights[start + n] += weight
    return total / weights


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
