"""Reference images of a folder, and the true images that belong to them by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.core.task import Domain, Modality, Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.api import read_files
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.training.data.config import Side
from medcyclegan.training.data.find import find_inputs
from medcyclegan.training.data.inputs import Input, Wanted
from medcyclegan.workflow.calibrate import ReferenceImage

_FORMATS = "images are DICOM, NIfTI, MetaImage, NRRD, PNG, JPEG or TIFF"
_MOST_NAMED = 5


@dataclass(frozen=True)
class ReferenceFolder:
    """Images of a model's source, and by image the true one where it is known.

    ``warnings`` name what was passed over.
    """

    data: str
    task: Task
    images: tuple[Input, ...]
    truths: dict[str, Input]
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def read(self) -> Iterator[ReferenceImage]:
        """Read one image after the other, with its true one.

        Raises
        ------
        InputRefused
            If one cannot be read.
        """
        for found in self.images:
            scan = _read(found, self.task.source.modality)
            truth = self.truths.get(found.name)
            known = None if truth is None else self._truth(truth)
            yield ReferenceImage(found.name, found.subject, self.data, scan, known)

    def _truth(self, found: Input) -> Volume:
        scan = _read(found, self.task.target.modality)
        if scan.volume.unit != self.task.target.unit:
            raise InputRefused(
                f"{found.source} has values in {scan.volume.unit}",
                rule=f"a true image is of the model's target, in {self.task.target.unit}",
                remedy="give --pairs the folder of true images",
            )
        return scan.volume


def find_reference_images(
    folder: Path, task: Task, *, data: str, pairs: Path | None = None
) -> ReferenceFolder:
    """Find the images below ``folder``, and those below ``pairs`` that are of the same patients.

    Two images belong together by the rule of ``io.case_names``: ``p01_t1.nii.gz`` and
    ``p01_ct.mha``, ``p01/mr.nii.gz`` and ``p01/ct.nii.gz``, a DICOM series in ``p01/`` and one in
    ``p01/``.

    Raises
    ------
    InputRefused
        If there are no images, one cannot be read, or a true image belongs to none or to several.
    """
    images, warnings = _found(folder, "a", task.source)
    truths: dict[str, Input] = {}
    if pairs is not None:
        true_images, more = _found(pairs, "b", task.target)
        truths = _matched(images, true_images, pairs)
        warnings += more
    return ReferenceFolder(data, task, images, truths, warnings)


def _found(folder: Path, side: Side, domain: Domain) -> tuple[tuple[Input, ...], tuple[str, ...]]:
    found = find_inputs(folder, Wanted(side, domain, masks=False))
    if found.refused:
        raise found.refused[0]
    if not found.inputs:
        said = "".join(f"\n  {warning}" for warning in found.warnings)
        raise InputRefused(
            f"{folder} and the folders below it hold no {domain.modality} images{said}",
            rule=_FORMATS,
            remedy="name the folder that holds the images",
        )
    return found.inputs, found.warnings


def _matched(
    images: tuple[Input, ...], true_images: tuple[Input, ...], pairs: Path
) -> dict[str, Input]:
    """Return the true image by the name of the image that it belongs to."""
    by_case: dict[str, list[Input]] = {}
    for image in images:
        by_case.setdefault(image.case, []).append(image)
    matched: dict[str, Input] = {}
    alone: list[str] = []
    for truth in true_images:
        belongs = by_case.get(truth.case, [])
        if not belongs:
            alone.append(truth.name)
        for image in belongs:
            if len(belongs) > 1 or image.name in matched:
                raise InputRefused(
                    f"{pairs}: {truth.name} belongs to {image.name}, and not to it alone",
                    rule="a pair is one image and one true image of a patient",
                    remedy="give the two of a pair a name of their own in both folders",
                )
            matched[image.name] = truth
    if alone:
        names = ", ".join(alone[:_MOST_NAMED]) + (", ..." if len(alone) > _MOST_NAMED else "")
        raise InputRefused(
            f"{pairs}: {len(alone)} of {len(true_images)} true images belong to no image: {names}",
            rule="they are named as the images in --images, apart from words such as t1 or ct",
            remedy="rename them, or take them out",
        )
    return matched


def _read(found: Input, modality: Modality) -> Scan:
    try:
        image = found.images[0]
        if image.dicom:
            return read_files(list(image.dicom), source=image.source)
        return read_scan(image.paths[0], modality=modality)
    except MedcycleganError as error:
        if str(found.source) in error.found:
            raise
        raise InputRefused(
            f"{found.source}: {error.found}", rule=error.rule, remedy=error.remedy
        ) from error
