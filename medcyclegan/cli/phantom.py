"""``medcyclegan phantom`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import Voice, voice_options
from medcyclegan.core.text import RESEARCH_USE

if TYPE_CHECKING:
    from medcyclegan.simulate.phantom.head import PhantomSubject
    from medcyclegan.workflow.convert import Provenance


def write_phantom(
    subject: PhantomSubject, *, contrast: str, folder: Path, provenance: Provenance, dicom: bool
) -> list[Path]:
    """Write MR, CT, labels and mask as NIfTI, and MR and CT as DICOM if asked; never overwrites."""
    from medcyclegan.errors import CannotWrite
    from medcyclegan.io.nifti.image import write_nifti
    from medcyclegan.io.scan import ItkSourceHeader

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"Cannot make {folder}: {error.strerror}", remedy="name another folder"
        ) from error
    volumes = {
        f"mr_{contrast}.nii.gz": subject.mr,
        "ct.nii.gz": subject.ct,
        "labels.nii.gz": subject.labels,
        "body_mask.nii.gz": subject.body_mask,
    }
    for name in (*volumes, f"mr_{contrast}_dicom", "ct_dicom"):
        if (folder / name).exists():
            raise CannotWrite(
                f"{folder / name} exists already",
                rule="nothing is replaced unasked",
                remedy="name another --out",
            )
    for name, volume in volumes.items():
        write_nifti(volume, source_header=ItkSourceHeader(), to=folder / name)
    written = [folder / name for name in volumes]
    if dicom:
        written += _write_series(subject, contrast=contrast, folder=folder, provenance=provenance)
    return written


def _write_series(
    subject: PhantomSubject, *, contrast: str, folder: Path, provenance: Provenance
) -> tuple[Path, Path]:
    """Write MR and CT as two series of one study."""
    from medcyclegan.io.dicom.api import Derivation, read_dicom, write_dicom_ct, write_dicom_mr

    mr, ct = folder / f"mr_{contrast}_dicom", folder / "ct_dicom"
    write_dicom_mr(
        subject.mr,
        to=mr,
        description=f"{contrast.upper()} head phantom",
        now=provenance.now(),
        new_uid=provenance.new_uid,
    )
    derivation = Derivation(
        model_name="",
        model_sha256="",
        software_version=provenance.version,
        method="CT of a head phantom, simulated from its tissues",
        now=provenance.now(),
        new_uid=provenance.new_uid,
        series_label="CT phantom (simulated, not acquired)",
    )
    write_dicom_ct(
        subject.ct, source_header=read_dicom(mr).source_header, to=ct, derivation=derivation
    )
    return mr, ct


if TYPE_CHECKING:
    from medcyclegan.core.geometry import Geometry

EXAMPLES = """\b
Examples:
  medcyclegan phantom --contrast t1 --out phantom/
  medcyclegan phantom --contrast t2 --spacing 1 1 5 --tilt 12 --seed 7 --dicom --out thick/
"""


@click.command("phantom", epilog=EXAMPLES)
@click.option(
    "--contrast",
    type=click.Choice(["t1", "t2", "flair", "pd"]),
    default="t1",
    show_default=True,
    help="Sequence of the MR.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option(
    "--spacing", type=click.FloatRange(0.3, 20.0), nargs=3, default=(1.0, 1.0, 1.0),
    show_default=True, metavar="MM MM MM", help="Voxel size along R, A, S before tilting.",
)  # fmt: skip
@click.option(
    "--size", type=click.IntRange(1, 1024), nargs=3, metavar="N N N",
    help="Voxels along R, A, S. Default: the whole head.",
)  # fmt: skip
@click.option(
    "--tilt", type=click.FloatRange(-45, 45), default=0.0, show_default=True, metavar="DEGREES",
    help="Obliquity: turn of the grid about the left-right axis.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The subject.")
@click.option("--dicom", is_flag=True, help="Write DICOM series beside the NIfTI files.")
@voice_options
def phantom(
    *, voice: Voice, contrast: str, out: Path, spacing: tuple[float, float, float],
    size: tuple[int, int, int] | None, tilt: float, seed: int, dicom: bool,
) -> None:  # fmt: skip
    """Make a head phantom from code alone: MR, its true CT, labels and body mask."""
    from medcyclegan.cli.conversions import default_provenance

    pass
    from medcyclegan.simulate.phantom.head import make_phantom

    subject = make_phantom(grid_of(spacing, size=size, tilt_deg=tilt), contrast=contrast, seed=seed)
    written = write_phantom(
        subject, contrast=contrast, folder=out, provenance=default_provenance(), dicom=dicom
    )
    voice.say_paths(written)


def grid_of(
    spacing_mm: tuple[float, float, float], *, size: tuple[int, int, int] | None, tilt_deg: float
) -> Geometry:
    """Return the grid asked for, centred on the head."""
    import numpy as np

    from medcyclegan.core.geometry import geometry_from_spacing
    from medcyclegan.simulate.phantom.head import default_geometry

    if not size:
        whole = default_geometry()
        counts = [
            max(1, round(n * mm / step))
            for n, mm, step in zip(whole.shape, whole.spacing_mm, spacing_mm, strict=True)
        ]
        size = (counts[0], counts[1], counts[2])
    cos, sin = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return geometry_from_spacing(size, spacing_mm, turn)


if TYPE_CHECKING:
    from medcyclegan.core.volume import Volume
    from medcyclegan.simulate.phantom.head import PhantomSubject

CONTRAST, SEED = "t1", 1


@click.command("demo", epilog="Example:  medcyclegan demo --out my_demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("medcyclegan_demo"),
    show_default=True,
    help="Folder to make; an existing one must be empty.",
)
@voice_options
def demo(*, voice: Voice, out: Path) -> None:
    """Make a head phantom, turn its MR into a synthetic CT, and score it against the true CT."""
    from medcyclegan.errors import CannotWrite
    from medcyclegan.simulate.phantom.head import default_geometry, make_phantom

    if out.is_dir() and any(out.iterdir()):
        raise CannotWrite(
            f"{out} is not empty", rule="the demo replaces nothing", remedy="give another --out"
        )
    voice.say("Making a head phantom ...")
    subject = make_phantom(default_geometry(), contrast=CONTRAST, seed=SEED)
    paths, sct = _write_all(subject, out, voice)
    _say_results(subject, sct, paths, voice)


def _write_all(subject: PhantomSubject, out: Path, voice: Voice) -> tuple[list[Path], Volume]:
    """Write the phantom, its sCT as NIfTI and DICOM, and the picture."""
    from medcyclegan.cli.conversions import default_provenance
    from medcyclegan.evaluation.pictures import draw_panel, panel_png
    from medcyclegan.io.atomic import atomic_file
    from medcyclegan.models.store import load_model
    from medcyclegan.workflow.convert import Request, convert

    model, provenance = load_model(), default_provenance()
    written = write_phantom(
        subject, contrast=CONTRAST, folder=out, provenance=provenance, dicom=True
    )
    voice.say("Synthesising its CT, from NIfTI and from DICOM ...")
    requests = (
        Request(source=out / f"mr_{CONTRAST}.nii.gz", out=out / "sct.nii.gz"),
        Request(source=out / f"mr_{CONTRAST}_dicom", out=out / "sct_dicom"),
    )
    with voice.progress("Translating") as progress:
        done = [
            convert(request, model, provenance=provenance, progress=progress)
            for request in requests
        ]
    sct = done[0].synthesis.image
    picture = out / "picture.png"
    with atomic_file(picture, overwrite=False) as part:
        part.write_bytes(panel_png(draw_panel(mr=subject.mr, sct=sct, ct=subject.ct)))
    return [*written, *(one.output for one in done), picture], sct


def _say_results(subject: PhantomSubject, sct: Volume, paths: list[Path], voice: Voice) -> None:
    from dataclasses import asdict

    from medcyclegan.evaluation.metrics import score

    scores = score(sct, subject.ct, subject.body_mask, protocol="synthrad2023")
    voice.say_paths(paths, scores=asdict(scores), note=RESEARCH_USE)
    voice.say(
        f"Against the phantom's true CT, inside the body ({scores.protocol}): "
        f"MAE {scores.mae_hu:.0f} HU, PSNR {scores.psnr_db:.1f} dB, SSIM {scores.ssim:.3f}, "
        f"bone Dice {scores.dice_bone:.2f}"
    )
    voice.say("A phantom is no patient: these figures say that it works, not how well on people.")
    voice.say(RESEARCH_USE)
