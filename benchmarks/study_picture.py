"""Make the picture of a study's report, docs/images/study.png, from phantoms alone.

    python -m benchmarks.study_picture --out study_picture/ [--chromium /usr/bin/chromium]

Eight head phantoms of three contrasts; head-mr-ct beside thresholding of the MR, which needs no
network. It needs playwright and a chromium.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from PIL import Image

from benchmarks.thresholding import thresholded_ct
from medcyclegan import __version__, load_model, synthesize
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader, Scan
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom

PATIENTS = 8
CONTRASTS = ("t1", "t2", "flair")
SPACING_MM = 2.0
WIDTH_PX, HEIGHT_PX = 1180, 1760
COLOURS = 256


def make_data(folder: Path) -> None:
    """Write the true CTs, and both methods' synthetic CTs of the MRs."""
    model = load_model("head-mr-ct")
    for number in range(1, PATIENTS + 1):
        contrast = CONTRASTS[number % len(CONTRASTS)]
        subject = make_phantom(default_geometry(SPACING_MM), contrast=contrast, seed=number)
        case = f"P{number:02d}"
        result = synthesize(Scan(subject.mr, ItkSourceHeader(), Path(case), "MR"), model)
        _save(subject.ct, folder / "ct" / f"{case}_ct.nii.gz")
        _save(result.image, folder / "head-mr-ct" / f"{case}_sct.nii.gz")
        made = thresholded_ct(subject.mr, result.body)
        _save(made, folder / "thresholding" / f"{case}_sct.nii.gz")


def _save(volume: Volume, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(volume, source_header=ItkSourceHeader(), to=to, overwrite=True)


def shoot(page: Path, to: Path, *, chromium: Path) -> None:
    """Save the upper part of a page as a picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        size = {"width": WIDTH_PX, "height": HEIGHT_PX}
        opened = browser.new_page(viewport=size)
        opened.goto(page.resolve().as_uri())
        opened.screenshot(path=to)
        browser.close()
    with Image.open(to) as picture:
        fewer = picture.convert("RGB").quantize(COLOURS)
    fewer.save(to, optimize=True)


def main() -> None:
    """Make data, score them, and take the picture of the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chromium", type=Path, default=Path("/usr/bin/chromium"))
    given = parser.parse_args()
    make_data(given.out)
    methods = [Method(name, given.out / name) for name in ("head-mr-ct", "thresholding")]
    request = StudyRequest(
        methods=tuple(methods),
        ref=given.out / "ct",
        out=given.out / "study",
        protocol="synthrad2023",
        overwrite=True,
    )
    evaluate_study(request, version=__version__, now=datetime.now().astimezone())
    shoot(given.out / "study" / "report.html", given.out / "study.png", chromium=given.chromium)
    print(given.out / "study.png")


if __name__ == "__main__":
    main()
