"""A head from code alone: one subject's MR, CT, tissues and body, the truth known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from medcyclegan.errors import UsageError
from medcyclegan.geometry import Geometry, geometry_from_spacing
from medcyclegan.simulate.imaging import ct_image, ct_table, mr_image, mr_table
from medcyclegan.simulate.phantom_anatomy import draw_anatomy
from medcyclegan.simulate.phantom_grid import sample_grid
from medcyclegan.simulate.phantom_labels import label_points
from medcyclegan.simulate.sequences import SEQUENCES
from medcyclegan.volume import Volume

# The head of the largest subject, ears, nose and chin, with a margin of air; mm along R, A, S.
_FIELD_OF_VIEW_MM = (184.0, 248.0, 244.0)


@dataclass(frozen=True)
class PhantomSubject:
    """One simulated subject, all volumes on one grid.

    ``mr`` is in a.u., ``ct`` in HU; ``labels`` are :class:`~medcyclegan.simulate.tissues.Tissue`
    values at voxel centres; ``body_mask`` is 1 in the head, its sinuses and airways included.
    A calcification in the atrium of the LEFT lateral ventricle, none on the right, tells left
    from right in every subject.
    """

    mr: Volume
    ct: Volume
    labels: Volume
    body_mask: Volume


def default_geometry(spacing_mm: float = 1.0) -> Geometry:
    """Return an isotropic RAS grid centred on the head, vertex to chin and upper neck."""
    i, j, k = (round(length / spacing_mm) for length in _FIELD_OF_VIEW_MM)
    return geometry_from_spacing((i, j, k), (spacing_mm, spacing_mm, spacing_mm))


def make_phantom(geometry: Geometry, *, contrast: str, seed: int) -> PhantomSubject:
    """Make the head of subject ``seed`` on any grid, oblique and thick-sliced ones included.

    The head's middle is the world's origin. ``seed`` fixes the subject and the noise to the last
    bit; the anatomy does not depend on the grid or on the contrast.

    Raises
    ------
    UsageError
        If ``contrast`` is not one of ``SEQUENCES``.
    """
    if contrast not in SEQUENCES:
        raise UsageError(f"Contrast {contrast!r}", rule=f"it must be one of {', '.join(SEQUENCES)}")
    anatomy_rng, ct_rng, mr_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)
    )
    anatomy = draw_anatomy(anatomy_rng)
    ct_values, mr_values = ct_table(ct_rng), mr_table(SEQUENCES[contrast], mr_rng)
    tables = np.stack([mr_values.value, mr_values.texture, ct_values.value, ct_values.texture])
    sampled = sample_grid(partial(label_points, anatomy=anatomy), geometry, tables=tables)
    mr_mean, mr_texture, ct_mean, ct_texture = sampled.means
    mr = mr_image(
        mr_mean,
        mr_texture,
        geometry=geometry,
        noise_sd=mr_rng.uniform(8.0, 18.0),
        bias=mr_rng.uniform(0.1, 0.45),
        rng=mr_rng,
    )
    noise_hu = ct_rng.uniform(8.0, 15.0)
    ct = ct_image(ct_mean, ct_texture, geometry=geometry, noise_hu=noise_hu, rng=ct_rng)
    return PhantomSubject(
        mr=Volume(mr, geometry, "a.u."),
        ct=Volume(ct, geometry, "HU"),
        labels=Volume(sampled.labels.astype(np.float32), geometry, "label"),
        body_mask=Volume(sampled.body.astype(np.float32), geometry, "mask"),
    )
