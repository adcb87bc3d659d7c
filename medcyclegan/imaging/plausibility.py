"""Plausibility of a volume: whether it may be what it is given for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcyclegan.core.task import BodyPart, Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused

# MR signal is a magnitude and hardly ever negative; a CT has air around the patient.
CT_AIR_HU = -500.0
CT_AIR_SHARE = 0.05

# Every CT of a patient has air or fat in view.
FAT_HU = -50.0
LEAST_FAT_SHARE = 0.001

# Neighbouring voxels of real scans correlate by 0.85 to 0.99, those of noise by 0.0.
LEAST_CORRELATION = 0.3
# Enough to tell 0.0 from 0.85, however large the scan.
SAMPLED_VOXELS = 1_000_000
OUTLIER_PERCENTILES = (0.5, 99.5)

# Bone wherever it is counted: in scores, features, warnings and reports.
BONE_HU = 250.0

# A model grid this much coarser than the pixels is told of; nearer ones keep the pixels.
COARSER_BY = 1.05

# Segmentations of the whole body have some hundred labels; an image has thousands of values.
MOST_LABELS = 256


def refuse_ct(volume: Volume, *, source: Path) -> None:
    """Raise InputRefused if a volume given as MR has the values of a CT."""
    if (volume.voxels < CT_AIR_HU).mean() > CT_AIR_SHARE:
        raise InputRefused(
            f"{source} looks like a CT in HU: more than {CT_AIR_SHARE:.0%} of it lies below "
            f"{CT_AIR_HU:g}",
            rule="an MR is translated",
            remedy="give the MR",
        )


def fat_and_air_share(ct: Volume) -> float:
    """Return the share of voxels below -50 HU, where fat and air are, from 0 to 1."""
    return float((ct.voxels < FAT_HU).mean())


def refuse_no_ct(volume: Volume, *, source: Path) -> None:
    """Raise InputRefused if a volume given as CT has next to nothing as thin as fat or air."""
    share = fat_and_air_share(volume)
    if share < LEAST_FAT_SHARE:
        raise InputRefused(
            f"{source} does not look like a CT in HU: {share:.2%} of it lies below {FAT_HU:g}, "
            "where air and fat are",
            rule=f"in a CT at least {LEAST_FAT_SHARE:.1%} do",
            remedy="give a CT in HU: check the modality, and the rescale of the values",
        )


def refuse_noise(
    volume: Volume, *, source: Path, mask: Volume | None = None, shown: str = "body"
) -> None:
    """Raise InputRefused if neighbouring voxels have nothing to do with each other.

    With a ``mask`` on the same grid those inside it are judged: the air of some images (MP2RAGE,
    quotients of two images) is noise, and no fault. ``shown`` is what the volume shows.
    """
    correlation = neighbour_correlation(volume, mask)
    if correlation < LEAST_CORRELATION:
        raise InputRefused(
            f"{source} looks like noise: the correlation of neighbouring voxels "
            f"{'' if mask is None else 'in the mask '}is {correlation:.2f}",
            rule=f"that of an image is above {LEAST_CORRELATION:g}",
            remedy="check that the right series was given, and that it was decoded rightly"
            + (f"; mark the {shown} with --mask if the air alone is noise" if mask is None else ""),
        )


def refuse_image_for_mask(mask: Volume, *, name: str, remedy: str) -> None:
    """Raise InputRefused if a mask is an image, whose signal above 0 would pass for the body."""
    least, most = float(mask.voxels.min()), float(mask.voxels.max())
    if least >= 0.0 and (most <= 1.0 or len(np.unique(mask.voxels)) <= MOST_LABELS):
        return
    raise InputRefused(
        f"The mask {name} has values from {least:g} to {most:g}, as an image has",
        rule=f"a mask has values from 0 to 1, or at most {MOST_LABELS} labels from 0 up",
        remedy=remedy,
    )


def neighbour_correlation(volume: Volume, mask: Volume | None = None) -> float:
    """Return the largest correlation of neighbours along an axis, -1 to 1; 1 for one voxel.

    Values count up to the 0.5th and the 99.5th percentile: one voxel of a hundred times the signal
    of all others is all that a correlation sees. With a ``mask`` on the same grid, both neighbours
    must lie in it.
    """
    voxels = volume.voxels
    inside = None if mask is None else mask.voxels > 0
    if voxels.size == 1 or (inside is not None and not inside.any()):
        return 1.0
    step = max(1, int(np.sqrt(voxels.size / SAMPLED_VOXELS)))
    counted = voxels.ravel() if inside is None else voxels[inside]
    low, high = np.percentile(counted[::step], OUTLIER_PERCENTILES)
    found = []
    some = (slice(None), slice(None, None, step), slice(None, None, step))
    for axis in range(3):
        lines = np.moveaxis(voxels, axis, 0)[some]
        if low < high:
            lines = np.clip(lines, low, high)
        before, after = lines[:-1].ravel(), lines[1:].ravel()
        if inside is not None:
            within = np.moveaxis(inside, axis, 0)[some]
            both = (within[1:] & within[:-1]).ravel()
            before, after = before[both], after[both]
        if before.size and before.std() > 0 and after.std() > 0:
            found.append(float(np.corrcoef(before, after)[0, 1]))
    return max(found, default=1.0)


def warnings_of(
    image: Volume, body: Volume, task: Task, *, is_judged: bool, is_plane: bool
) -> tuple[str, ...]:
    """Return sentences on what is odd about a result, or about the scan for this task.

    ``is_judged`` says that size and bone were held against the model's reference ranges already;
    ``is_plane`` that it is a picture or radiograph, of which neither is asked.
    """
    said = slices_warning(image, depth=task.depth)
    if is_plane:
        return said
    if task.makes_ct_of_mr and not is_judged:
        said += size_warning(body, task.body_part) + bone_warning(image, body, task.body_part)
    if task.keeps_values and task.spacing_mm is not None:
        said += coarse_warning(image, spacing_mm=task.spacing_mm)
    return said


def bone_warning(ct: Volume, body: Volume, part: BodyPart) -> tuple[str, ...]:
    """Return a sentence if too little of the body is as dense as bone, else nothing."""
    inside = ct.voxels[body.voxels > 0]
    share = float((inside > BONE_HU).mean()) if inside.size else 0.0
    if share >= part.least_bone_share:
        return ()
    return (
        f"Only {share:.1%} of the body came out as bone (above {BONE_HU:g} HU): this may be no "
        f"{part.name}, or a contrast that the model was not trained on; do not trust the result.",
    )


def size_warning(body: Volume, part: BodyPart) -> tuple[str, ...]:
    """Return a sentence if the body in view is too small to show the part, else nothing."""
    litres = float((body.voxels > 0).sum()) * float(np.prod(body.geometry.spacing_mm)) / 1e6
    if litres >= part.least_litres:
        return ()
    return (
        f"The body in view has {litres:.2g} litres, much less than {part.one}: the model is for "
        f"{part.several} only, and needs to see most of one.",
    )


def slices_warning(image: Volume, *, depth: int) -> tuple[str, ...]:
    """Return a sentence if there are fewer slices than a network looks at together."""
    slices = min(image.geometry.shape)
    if slices >= depth:
        return ()
    return (
        f"The model looks at {depth} neighbouring slices at a time, and there {_are(slices)}: the "
        "missing ones are repeats; expect a worse result than in a whole volume.",
    )


def coarse_warning(image: Volume, *, spacing_mm: float) -> tuple[str, ...]:
    """Return a sentence if the model's pixels are coarser than the image's, else nothing."""
    finest_mm = min(image.geometry.spacing_mm)
    if spacing_mm <= COARSER_BY * finest_mm:
        return ()
    return (
        f"The model works on pixels of {spacing_mm:.3g} mm and the image has {finest_mm:.3g} mm: "
        "detail finer than the model's pixels is smoothed away.",
    )


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count}"
