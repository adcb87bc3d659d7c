"""The mask of each patient, found by the name of the image that it belongs to."""

from __future__ import annotations

from pathlib import Path

from medcyclegan.workflow.batch.candidate import Candidate
from medcyclegan.workflow.batch.single_images import is_image_name, stem_of

_FORMS = ("{0}_mask", "{0}-mask", "mask_{0}", "{0}_body", "mask")


def mask_of(candidate: Candidate, root: Path, masks: Path) -> tuple[Path | None, str]:
    """Return the mask of an image, or why there is none.

    ``masks`` has the folders of the tree ``root``, which it may be itself. The mask of
    ``p1/t1.nii.gz`` is there in ``p1/``: ``t1_mask``, ``t1-mask``, ``mask_t1``, ``t1_body``,
    ``mask``, or in a folder of masks alone ``t1``; of a series in the folder ``p2/SE3`` the same
    with ``SE3``, in ``p2/`` or in ``p2/SE3/``. Of several forms the first counts.
    """
    source = candidate.source
    is_own_tree = masks.resolve() == root.resolve()
    is_series = bool(candidate.series_uid) and candidate.files != (source,)
    stem = source.name if is_series else stem_of(source.name)
    forms = [form.format(stem) for form in _FORMS] + ([] if is_own_tree else [stem])
    folders = [source.parent, *([source] if is_series else [])]
    for form in forms:
        found = [
            path
            for folder in folders
            for path in _images_in(masks / folder)
            if stem_of(path.name).lower() == form.lower()
        ]
        if len(found) > 1:
            names = " and ".join(sorted(path.name for path in found))
            return None, f"it has two masks, {names}; leave one"
        if found:
            return found[0], ""
    return None, f"no mask of it in {folders[0].as_posix()}/ of --mask: one of {', '.join(forms)}"


def _images_in(folder: Path) -> list[Path]:
    try:
        return [
            path
            for path in sorted(folder.iterdir())
            if is_image_name(path.name) and not path.name.endswith((".raw", ".zraw", ".img"))
        ]
    except OSError:
        return []
