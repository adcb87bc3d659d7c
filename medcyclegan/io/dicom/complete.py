"""Is a series whole? What headers tell of slices that their even places do not show.

Of a series whose every second slice is lost, or whose ends are, the positions alone show nothing.
All of this is a warning, not a refusal: these attributes are wrong more often than positions are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medcyclegan.core.text import counted
from medcyclegan.io.dicom.attribute_access import number, numbers, private_value, text, whole
from medcyclegan.io.dicom.find import is_multiframe
from medcyclegan.io.dicom.frames import SliceView

# Slices this many times farther apart than the header says: one of two is not there, or was never
# measured. Real headers round, and real gaps stay well below a slice.
GAP_SUSPECT_RELATIVE = 1.5
# What a header of four digits and a position of two decimals may disagree by, relative.
SPACING_TOLERANCE_RELATIVE = 0.01
DISTANCE_TOLERANCE_RELATIVE = 0.05

# Where makers keep the number of slices of a volume: name, group, element, creator.
_PRIVATE_COUNTS = (
    ("Philips's number of slices", 0x2001, 0x18, "Philips Imaging DD 001"),
    ("GE's locations in the acquisition", 0x0021, 0x4F, "GEMS_RELA_01"),
)


def completeness_warnings(ordered: Sequence[SliceView], *, distance_mm: float) -> tuple[str, ...]:
    """Return sentences on slices that may be missing, or differ in thickness.

    ``ordered`` are the slices of one volume along their normal, ``distance_mm`` apart.
    """
    return (
        *_gap_warning(ordered[0], distance_mm),
        *_thickness_warning(ordered),
        *(_part_warning(ordered) or _count_warning(ordered) or _number_warning(ordered)),
    )


def _gap_warning(view: SliceView, distance_mm: float) -> tuple[str, ...]:
    """Return a sentence if slices lie evenly, and farther apart than the header accounts for."""
    spacing_mm = abs(number(view.dataset, "SpacingBetweenSlices", view.path) or 0.0)
    thickness_mm = abs(number(view.dataset, "SliceThickness", view.path) or 0.0)
    if spacing_mm > 0.0:
        said, what = spacing_mm, "SpacingBetweenSlices"
        # Some scanners store the gap alone, from the edge of a slice to that of the next.
        # A gap as wide as a slice would look like every second slice lost, and counts as that.
        off_mm = abs(distance_mm - spacing_mm - thickness_mm)
        is_gap_alone = (
            GAP_SUSPECT_RELATIVE * spacing_mm < thickness_mm
            and off_mm <= DISTANCE_TOLERANCE_RELATIVE * distance_mm
        )
        suspect = not is_gap_alone and distance_mm >= GAP_SUSPECT_RELATIVE * spacing_mm
    else:
        said, what = thickness_mm, "SliceThickness"
        # A gap as wide as a slice: as if every second one were taken out.
        suspect = 0.0 < thickness_mm <= distance_mm / 2.0 * (1.0 + SPACING_TOLERANCE_RELATIVE)
    if not suspect:
        return ()
    return (
        f"The slices lie {distance_mm:.4g} mm apart, but {what} is {said:.4g} mm: "
        "slices may be missing.",
    )


def _thickness_warning(ordered: Sequence[SliceView]) -> tuple[str, ...]:
    said = [number(view.dataset, "SliceThickness", view.path) or 0.0 for view in ordered]
    known = [thickness for thickness in said if thickness > 0.0]
    if not known or max(known) - min(known) <= SPACING_TOLERANCE_RELATIVE * max(known):
        return ()
    return (
        f"SliceThickness differs from slice to slice ({min(known):.4g} to {max(known):.4g} mm): "
        "scans of several kinds may be mixed.",
    )


def _part_warning(ordered: Sequence[SliceView]) -> tuple[str, ...]:
    """Return a sentence if a part of a concatenation, one object in several files, is not there."""
    first = ordered[0]
    total = whole(first.dataset, "InConcatenationTotalNumber", first.path, default=0)
    there = {text(view.dataset, "InConcatenationNumber", view.path) for view in ordered}
    if total <= len(there):
        return ()
    return (
        f"The object was split into {counted(total, 'file')} (InConcatenationTotalNumber), and "
        f"{len(there)} of them read: slices are missing.",
    )


def _count_warning(ordered: Sequence[SliceView]) -> tuple[str, ...]:
    """Return a sentence if a header counts more slices than there are.

    A whole multiple of them is no loss: echoes, time points or reconstructions beside these.
    """
    there = len(ordered)
    for what, said in _counts(ordered):
        if said > there and said % there:
            return (
                f"{what} is {said}, and the series has {counted(there, 'slice')}: "
                "slices may be missing at the ends.",
            )
    return ()


def _counts(ordered: Sequence[SliceView]) -> list[tuple[str, int]]:
    first = ordered[0]
    found = []
    if not is_multiframe(first.file) and _share_acquisition(ordered):
        count = whole(first.dataset, "ImagesInAcquisition", first.path, default=0)
        found.append(("ImagesInAcquisition", count))
    for what, group, element, creator in _PRIVATE_COUNTS:
        said = private_value(first.dataset, group, element, creator)
        found.append((what, int(said) if said.isascii() and said.isdigit() else 0))
    return found


def _share_acquisition(ordered: Sequence[SliceView]) -> bool:
    return len({text(view.dataset, "AcquisitionNumber", view.path) for view in ordered}) == 1


def _number_warning(ordered: Sequence[SliceView]) -> tuple[str, ...]:
    """Return a sentence if slices are numbered one by one along the normal, but not from 1.

    Fewer numbers must be free than there are slices: behind the first of several time points or
    echoes, numbers go on, too.
    """
    said = [numbers(view.dataset, "InstanceNumber", view.path) for view in ordered]
    if len(said) < 2 or any(len(found) != 1 for found in said):
        return ()
    steps = np.diff([found[0] for found in said])
    least = int(min(found[0] for found in said))
    if not (abs(steps[0]) == 1 and (steps == steps[0]).all() and 1 < least <= len(said)):
        return ()
    return (
        f"The slices are numbered (InstanceNumber) from {least}: "
        f"{counted(least - 1, 'slice')} may be missing at one end.",
    )
