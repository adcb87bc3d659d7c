"""DICOM series: what belongs together, and what is no regular volume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import BasicTextSRStorage, MediaStorageDirectoryStorage, generate_uid

from medcyclegan.errors import ExitCode
from tests.dicom_directory import make_cd
from tests.dicom_enhanced import save_enhanced
from tests.odd.case import Case, Family, Make, converted
from tests.odd.inputs import (
    DICOM_AFFINE,
    ChangeSlice,
    every,
    head_series,
    series,
    shifted,
    third,
    without,
)

TILTED = DICOM_AFFINE.copy()
TILTED[1, 2] = 3.0
_TURNED = ["1", "0", "0", "0", "0.999", "0.0447101778"]


def _case(name: str, make: Make, *says: str, **more: Any) -> Case:
    return Case(name, make, f'refused, saying "{says[0]}"', says=says, **more)


def _third(name: str, *says: str, **values: Any) -> Case:
    return _case(name, series(third(**values)), *says)


def same_as_plain_series(source: Path, made: Path) -> None:
    """The voxels are those of the series without anything odd about it."""
    control = nibabel.load(made.parent.parent / "series.nii.gz")
    found = nibabel.load(made)
    assert found.affine.tobytes() == control.affine.tobytes()
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(control.dataobj))


def _is(name: str, make: Make, *says: str) -> Case:
    does = f'converted, with the warning "{says[0]}"' if says else "converted, the same result"
    return converted(name, make, does, says=says, check=same_as_plain_series)


def _shuffled(paths: list[Path]) -> None:
    for number, path in enumerate(paths):
        path.rename(path.with_name(f"slice-{(number * 7) % 10}"))


def _beside(paths: list[Path]) -> None:
    """A report, a DICOMDIR, notes and an empty file beside the slices."""
    folder = paths[0].parent
    report = dcmread(paths[0])
    del report.PixelData
    for name, kind in (("report", BasicTextSRStorage), ("DICOMDIR", MediaStorageDirectoryStorage)):
        report.SOPClassUID = kind
        report.save_as(folder / name)
    (folder / "notes.txt").write_text("no DICOM " * 100)
    (folder / "empty.dcm").touch()


def _rescaled(ds: Dataset, k: int) -> None:
    """Slices of which each has its own slope, as some scanners write them."""
    slope = 1 + k % 2
    stored = np.frombuffer(ds.PixelData, "<u2") * (2 // slope)
    ds.PixelData = stored.astype("<u2").tobytes()
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = str(slope / 2), "0", "US"


def _scaled_apart(ds: Dataset, k: int) -> None:
    block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0E, "FL", 0.25 if k > 6 else 0.5)


def _inverted(ds: Dataset, k: int) -> None:
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.PixelData = (4095 - np.frombuffer(ds.PixelData, "<u2")).astype("<u2").tobytes()


def _cd(folder: Path) -> Path:
    directory = make_cd(folder / "cd", [head_series(folder / "mr")])
    shutil.rmtree(folder / "mr")
    return directory


def _two_series(folder: Path) -> Path:
    head_series(folder / "both" / "mr")
    head_series(folder / "both" / "other", every(SeriesDescription="another"))
    return folder / "both"


def _chosen(folder: Path) -> Path:
    path = _two_series(folder)
    uid = generate_uid(entropy_srcs=["series", "mr"])
    for file in (path / "mr").iterdir():
        assert dcmread(file).SeriesInstanceUID == uid
    return path


def _mr_and_ct(folder: Path) -> Path:
    head_series(folder / "both" / "mr")
    head_series(folder / "both" / "ct", modality="CT")
    return folder / "both"


def _one_file(folder: Path) -> Path:
    return head_series(folder / "mr")[4]


def _enhanced(edit: Any = None) -> Make:
    def make(folder: Path) -> Path:
        slices = [dcmread(path) for path in head_series(folder / "plain")]
        (folder / "mr").mkdir()
        order = (3, 0, 9, 1, 2, 8, 7, 4, 6, 5)
        save_enhanced(slices, folder / "mr" / "all.dcm", order=order, edit=edit or _plain_values)
        shutil.rmtree(folder / "plain")
        return folder / "mr" / "all.dcm"

    return make


def _plain_values(_: Dataset, frames: list[Dataset]) -> None:
    for frame in frames:
        scale = frame.PixelValueTransformationSequence[0]
        scale.RescaleSlope, scale.RescaleIntercept = "1", "0"


def _last_three(**values: Any) -> ChangeSlice:
    """Set attributes of the last three of ten slices."""

    def change(ds: Dataset, k: int) -> None:
        if k > 6:
            every(**values)(ds, k)

    return change


def _with_phase(whole: Dataset, frames: list[Dataset]) -> None:
    _plain_values(whole, frames)
    for number, frame in enumerate(frames):
        kind = Dataset()
        kind.ComplexImageComponent = "PHASE" if number > 6 else "MAGNITUDE"
        frame.MRImageFrameTypeSequence = [kind]


def _without_places(whole: Dataset, _: list[Dataset]) -> None:
    del whole.PerFrameFunctionalGroupsSequence


_SLOPES = "The rescale slope differs from slice to slice; each was applied."
_ONE_PATIENT = "all slices of a volume share one patient"
_MR_UID = str(generate_uid(entropy_srcs=["series", "mr"]))
READ = (
    _is("files named without regard to their order", series(after=_shuffled)),
    _is(
        "instance numbers that run the other way",
        series(lambda ds, k: setattr(ds, "InstanceNumber", str(10 - k))),
    ),
    _is("a file of a series in place of its folder", _one_file),
    _is(
        "a slope of its own for each slice",
        series(_rescaled),
        "The rescale slope differs from slice to slice",
    ),
    _is("MONOCHROME1, where the least value is white", series(_inverted), "were inverted: 10"),
    _is("an enhanced multi-frame file, frames in any order", _enhanced()),
    _is(
        "report, DICOMDIR, notes and an empty file beside the slices",
        series(after=_beside),
        "Files that are not DICOM were passed over: 2.",
    ),
    _is(
        "a CD: a DICOMDIR, and slices in folders",
        lambda folder: _cd(folder).parent,
        "Files that are DICOM but no image were passed over: 1.",
    ),
    _is("a DICOMDIR in place of its folder", _cd),
    _is(
        "a slice twice",
        series(after=lambda paths: shutil.copy(paths[3], paths[3].with_name("again.dcm"))),
        "Files that repeat a SOP instance were passed over: 1.",
    ),
    _is(
        "a name with empty components in some slices",
        series(third(PatientName="SECRET^Person^^^")),
    ),
    _is(
        "a map of diffusion",
        series(every(ImageType=["DERIVED", "PRIMARY", "ADC"])),
        "marked as ADC (ImageType), and not as MR signal",
    ),
    _is(
        "slices of two thicknesses",
        series(third(SliceThickness="7")),
        "SliceThickness differs from slice to slice",
    ),
    _is(
        "slices of two study dates and accession numbers, in one study",
        series(third(StudyDate="20240301", AccessionNumber="A2")),
        "The slices differ in StudyDate, AccessionNumber",
    ),
    _is(
        "slices that Philips's private slope scales apart",
        series(_scaled_apart),
        "The Philips ScaleSlope differs from slice to slice",
    ),
    _is(
        "a header that counts more slices than there are",
        series(every(ImagesInAcquisition="13")),
        "slices may be missing at the ends",
    ),
    _is("an MR beside a CT series", _mr_and_ct, "Other series in the folder were passed over: 1."),
    Case(
        "two MR series, one named by --series",
        _chosen,
        "converted, with a warning: the other is passed over",
        says=("Other series in the folder were passed over: 1.",),
        code=ExitCode.DONE,
        options=("--series", _MR_UID),
        check=same_as_plain_series,
    ),
)
REFUSED = (
    _case("two MR series", _two_series, "holds 2 MR series", "another", _MR_UID, "--series"),
    _case(
        "two MR series, and --series with neither",
        _two_series,
        "holds no MR series 1.2.3",
        _MR_UID,
        options=("--series", "1.2.3"),
    ),
    _case("a CT in place of the MR", series(modality="CT"), "modality CT, none of MR"),
    _case("a slice missing", series(after=lambda paths: paths[4].unlink()), "one may be missing"),
    _case("a slice 0.3 mm out of step", series(shifted(0, 0, 0.3)), "slices must be evenly spaced"),
    _case("a slice moved sideways", series(shifted(2.0, 0, 0)), "from where even spacing puts it"),
    _case("gantry tilt", series(affine_ras=TILTED), "shear or gantry tilt is not accepted"),
    _case("two slices at one place", series(shifted(0, 0, 14)), "Two images at one position"),
    _third("two echoes (echo time)", "several echoes in one series", EchoTime="95"),
    _third("two echoes (echo number)", "several echoes in one series", EchoNumbers="2"),
    _case(
        "magnitude and phase, each at places of its own",
        series(_last_three(ImageType=["ORIGINAL", "PRIMARY", "P"])),
        "several kinds of image in one series",
    ),
    _case(
        "derived slices beside original ones",
        series(_last_three(ImageType=["DERIVED", "SECONDARY", "M"])),
        "several kinds of image in one series",
    ),
    _case(
        "water and fat of a Dixon",
        series(_last_three(ImageType=["ORIGINAL", "PRIMARY", "M", "FAT"])),
        "several kinds of image in one series",
    ),
    _case("two b-values", series(_last_three(DiffusionBValue=1000.0)), "several b-values"),
    _case(
        "slices before and after a contrast agent",
        series(_last_three(ContrastBolusAgent="Gd")),
        "several phases of a contrast agent",
    ),
    _case(
        "an enhanced file whose frames turn to phase",
        _enhanced(_with_phase),
        "several kinds of image in one series",
    ),
    _third("two time points", "several time points", TemporalPositionIdentifier="2"),
    _third("slices of two patients (ID)", _ONE_PATIENT, PatientID="Other-7"),
    _third("one ID of two issuers", _ONE_PATIENT, IssuerOfPatientID="Other Hospital"),
    _third("slices of two patients (name)", _ONE_PATIENT, PatientName="Other^Name"),
    _third("two IDs that differ in case alone", _ONE_PATIENT, PatientID="id-4711"),
    _third("slices of two patients (sex)", _ONE_PATIENT, PatientSex="F"),
    _third("head first and feet first", "share one position of", PatientPosition="FFS"),
    _case(
        "slices with and without fat",
        series(_last_three(ScanOptions="FS")),
        "several options of the scan in one series",
    ),
    _case(
        "slices of two sequences",
        series(_last_three(SequenceName="*fl3d1")),
        "several sequences in one series",
    ),
    _third("slices of two studies", "share one study", StudyInstanceUID="1.2.3"),
    _third("two frames of reference", "share one frame of reference", FrameOfReferenceUID="1.2.3"),
    _third("a slice of another matrix", "share one matrix", Rows=12),
    _third("a slice of another pixel spacing", "differ in pixel spacing", PixelSpacing=["9", "8"]),
    _third(
        "a slice of another orientation (localizer)",
        "differ in orientation",
        ImageOrientationPatient=_TURNED,
    ),
    _third("colour", "is a colour image", SamplesPerPixel=3),
    _third("palette", "is a colour image", PhotometricInterpretation="PALETTE COLOR"),
    _third("a slope of 0", "RescaleSlope is 0", RescaleSlope="0", RescaleIntercept="0"),
    _third("a table in place of the slope", "has a Modality LUT", ModalityLUTSequence=[Dataset()]),
    _case("no position", series(without("ImagePositionPatient")), "has 0 values"),
    _case("no orientation", series(without("ImageOrientationPatient")), "has 0 values"),
    _case("no pixel spacing", series(without("PixelSpacing")), "has 0 values"),
    _case("pixel spacing of 0", series(every(PixelSpacing=["0", "8"])), "it must be above 0"),
    _case(
        "an orientation of no unit vectors",
        series(every(ImageOrientationPatient=["1", "0", "0", "0", "2", "0"])),
        "two unit vectors at a right angle",
    ),
    _case("a Siemens mosaic", series(every(ImageType=["ORIGINAL", "MOSAIC"])), "Siemens mosaic"),
    _case("several frames that are not placed", _enhanced(_without_places), "where each lies"),
)

FAMILY = Family(
    "DICOM: which slices belong together",
    converted("a good series, ten slices of 20 x 24 pixels", series(), "converted"),
    READ + REFUSED,
)
