"""``medcyclegan simulate mr-ct --labels``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.cli.common import Voice
from medcyclegan.cli.simulate_options import FolderOptions, simulate_volumes


@dataclass(frozen=True)
class SliceOptions:
    """How slices lie and what they show, as the options give it."""

    spacing_mm: tuple[float, float, float]
    size: tuple[int, int, int] | None
    orientation: str
    thickness_mm: float | None
    contrast: str


def simulate_labels(
    labels: Path, options: SliceOptions, *, form: str, folder: FolderOptions, voice: Voice
) -> None:
    """Make the heads from label maps: read those that are needed, then simulate."""
    from medcyclegan.errors import UsageError
    from medcyclegan.io.targets import refuse_existing_folder
    from medcyclegan.simulate.label_heads import LabelHeads, LabelSlices
    from medcyclegan.simulated_data.label_maps import read_heads

    pixel_mm, other_mm, spacing_mm = options.spacing_mm
    size = options.size
    if pixel_mm != other_mm or (size is not None and size[0] != size[1]):
        raise UsageError(
            f"Pixels of {pixel_mm} x {other_mm} mm, size {size}",
            rule="slices from label maps are square, and so are their pixels",
            remedy="give the same number twice",
        )
    slices = LabelSlices(
        pixel_mm=pixel_mm,
        spacing_mm=spacing_mm,
        thickness_mm=options.thickness_mm or spacing_mm,
        orientation=options.orientation,
        size=None if size is None else (size[0], size[2]),
    )
    refuse_existing_folder(folder.out, overwrite=folder.overwrite)  # before minutes of reading
    with voice.progress("Reading label maps") as progress:
        dealt = read_heads(labels, folder.split, progress=progress)
    settings = {
        "heads": dealt.names, "contrast": options.contrast, "spacing_mm": options.spacing_mm,
        "size": size, "orientation": slices.orientation, "thickness_mm": slices.thickness_mm,
    }  # fmt: skip
    recipe = LabelHeads(dealt.heads, slices, options.contrast)
    simulate_volumes(recipe, "mr-ct", settings, form=form, folder=folder, voice=voice)
