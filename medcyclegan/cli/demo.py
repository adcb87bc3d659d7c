"""``medcyclegan demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medcyclegan.cli.common import RESEARCH_USE, Voice, voice_options

if TYPE_CHECKING:
    from medcyclegan.simulate.phantom import PhantomSubject
    from medcyclegan.volume import Volume

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
    from medcyclegan.simulate.phantom import default_geometry, make_phantom

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
    from medcyclegan.cli.conversions import default_maker
    from medcyclegan.cli.phantom_files import write_phantom
    from medcyclegan.conversion import Request, convert
    from medcyclegan.evaluation.picture import save_panel
    from medcyclegan.io.atomic import atomic_file
    from medcyclegan.models.store import load_model

    model, maker = load_model(), default_maker()
    written = write_phantom(subject, contrast=CONTRAST, folder=out, maker=maker, dicom=True)
    voice.say("Synthesising its CT, from NIfTI and from DICOM ...")
    requests = (
        Request(source=out / f"mr_{CONTRAST}.nii.gz", out=out / "sct.nii.gz"),
        Request(source=out / f"mr_{CONTRAST}_dicom", out=out / "sct_dicom"),
    )
    with voice.progress("Translating") as progress:
        done = [convert(request, model, maker=maker, progress=progress) for request in requests]
    sct = done[0].synthesis.image
    picture = out / "picture.png"
    with atomic_file(picture, overwrite=False) as part:
        save_panel(part, mr=subject.mr, sct=sct, ct=subject.ct)
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
