"""``medcyclegan demo``."""

from __future__ import annotations

from pathlib import Path

import click

from medcyclegan.cli.common import RESEARCH_USE, Voice, voice_options

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
    from medcyclegan.cli.phantom_files import write_phantom
    from medcyclegan.cli.synth_ct import default_maker
    from medcyclegan.conversion import Request, convert, derivation_of
    from medcyclegan.errors import CannotWrite
    from medcyclegan.evaluation.metrics import score
    from medcyclegan.evaluation.picture import save_panel
    from medcyclegan.io.atomic import atomic_file
    from medcyclegan.io.read import read_scan
    from medcyclegan.io.write import write_scan
    from medcyclegan.models.store import load_model
    from medcyclegan.simulate.phantom import default_geometry, make_phantom

    if out.is_dir() and any(out.iterdir()):
        raise CannotWrite(
            f"{out} is not empty", rule="the demo replaces nothing", remedy="give another --out"
        )
    model = load_model()
    voice.say("Making a head phantom ...")
    subject = make_phantom(default_geometry(), contrast=CONTRAST, seed=SEED)
    maker = default_maker()
    written = write_phantom(subject, contrast=CONTRAST, folder=out, maker=maker, dicom=True)
    voice.say("Synthesising its CT ...")
    with voice.progress("Translating") as progress:
        mr = out / f"mr_{CONTRAST}.nii.gz"
        done = convert(
            Request(source=mr, out=out / "sct.nii.gz"), model, maker=maker, progress=progress
        )
    series = read_scan(out / f"mr_{CONTRAST}_dicom")
    write_scan(
        done.synthesis.image,
        passport=series.passport,
        to=out / "sct_dicom",
        derivation=derivation_of(model, maker),
    )
    with atomic_file(out / "picture.png", overwrite=False) as part:
        save_panel(part, mr=subject.mr, sct=done.synthesis.image, ct=subject.ct)
    written += [done.output, out / "sct_dicom", out / "picture.png"]
    scores = score(done.synthesis.image, subject.ct, subject.body_mask, protocol="synthrad2023")
    for path in written:
        voice.say(f"  {path}")
    voice.say(
        f"Against the phantom's true CT, inside the body ({scores.protocol}): "
        f"MAE {scores.mae_hu:.0f} HU, PSNR {scores.psnr_db:.1f} dB, SSIM {scores.ssim:.3f}, "
        f"bone Dice {scores.dice_bone:.2f}"
    )
    voice.say("A phantom is no patient: these figures say that it works, not how well on people.")
    voice.say(RESEARCH_USE)
