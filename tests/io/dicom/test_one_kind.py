"""Images of several kinds in one series, each at places of its own, make no volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_enhanced import Edit, make_enhanced
from tests.dicom_factory import Change, make_series

SHAPE = (8, 6, 24)
FIRST_OF_SECOND = 16

SIEMENS_B = (0x0019, 0x0C, "SIEMENS MR HEADER")
GE_B = (0x0043, 0x39, "GEMS_PARM_01")
GE_COMPONENT = (0x0043, 0x2F, "GEMS_PARM_01")
PHILIPS_B = (0x2001, 0x03, "Philips Imaging DD 001")


def second_part(**values: Any) -> Change:
    """Set attributes of the last eight of 24 slices."""

    def change(ds: Dataset, k: int) -> None:
        if k >= FIRST_OF_SECOND:
            for keyword, value in values.items():
                setattr(ds, keyword, value)

    return change


def two(keyword: str, first: Any, second: Any) -> Change:
    return lambda ds, k: setattr(ds, keyword, second if k >= FIRST_OF_SECOND else first)


def private(where: tuple[int, int, str], vr: str, first: Any, second: Any) -> Change:
    """A private attribute that differs, as vendors store it."""

    def change(ds: Dataset, k: int) -> None:
        group, element, creator = where
        block = ds.private_block(group, creator, create=True)
        block.add_new(element, vr, second if k >= FIRST_OF_SECOND else first)

    return change


MR_KINDS: dict[str, tuple[Change, str]] = {
    "magnitude and phase": (second_part(ImageType=["ORIGINAL", "PRIMARY", "P"]), "kinds of image"),
    "Philips's phase": (
        two("ImageType", ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
            ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]),
        "kinds of image",
    ),
    "complex component": (second_part(ComplexImageComponent="PHASE"), "kinds of image"),
    "GE's components": (private(GE_COMPONENT, "SS", 0, 1), "kinds of image"),
    "derived beside original": (
        second_part(ImageType=["DERIVED", "PRIMARY", "M"]), "kinds of image"
    ),
    "secondary beside primary": (
        second_part(ImageType=["ORIGINAL", "SECONDARY", "M"]), "kinds of image"
    ),
    "Dixon: water and fat": (
        two("ImageType", ["DERIVED", "PRIMARY", "DIXON", "WATER"],
            ["DERIVED", "PRIMARY", "DIXON", "FAT"]),
        "kinds of image",
    ),
    "Dixon: in and out of phase": (
        two("ImageType", ["ORIGINAL", "PRIMARY", "M", "IN_PHASE"],
            ["ORIGINAL", "PRIMARY", "M", "OPP_PHASE"]),
        "kinds of image",
    ),
    "Dixon told by the description": (second_part(SeriesDescription="FAT: lava"), "descriptions"),
    "echo time": (second_part(EchoTime="4.5"), "echoes"),
    "echo number": (second_part(EchoNumbers="2"), "echoes"),
    "effective echo time": (two("EffectiveEchoTime", 2.5, 5.0), "echoes"),
    "b-value": (two("DiffusionBValue", 0.0, 1000.0), "b-values"),
    "b-value that is absent where it is 0": (second_part(DiffusionBValue=800.0), "b-values"),
    "Siemens's b-value": (private(SIEMENS_B, "IS", "0", "1000"), "b-values"),
    "GE's b-value": (private(GE_B, "IS", ["1000000050", "8"], ["1000001000", "8"]), "b-values"),
    "Philips's b-value": (private(PHILIPS_B, "FL", 0.0, 700.0), "b-values"),
    "directions": (two("DiffusionDirectionality", "DIRECTIONAL", "ISOTROPIC"), "b-values"),
    "time points": (second_part(TemporalPositionIdentifier="2"), "time points"),
    "contrast agent": (second_part(ContrastBolusAgent="Gd"), "phases of a contrast agent"),
    "contrast phases, as acquisitions": (second_part(AcquisitionNumber="2"), "acquisitions"),
    "inversion times": (second_part(InversionTime="1800"), "inversion times"),
    "flip angles": (second_part(FlipAngle="20"), "flip angles"),
    "repetition times": (second_part(RepetitionTime="600"), "repetition times"),
    "sequences": (second_part(ScanningSequence="SE"), "sequences"),
    "variants": (second_part(SequenceVariant=["SK", "MP"]), "sequences"),
    "names of sequences": (two("SequenceName", "*tfl3d1", "*fl3d1"), "sequences"),
    "names of pulse sequences": (two("PulseSequenceName", "a", "b"), "sequences"),
    "with and without fat": (second_part(ScanOptions="FS"), "options of the scan"),
    "series": (second_part(SeriesNumber="5"), "series"),
}  # fmt: skip
CT_KINDS: dict[str, tuple[Change, str]] = {
    "reformatted": (second_part(ImageType=["DERIVED", "SECONDARY", "MPR"]), "kinds of image"),
    "a localizer": (second_part(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "kinds of image"),
    "kernels": (two("ConvolutionKernel", "H30s", "H60s"), "kernels"),
    "tube voltages": (second_part(KVP="80"), "tube voltages"),
    "units": (second_part(RescaleType="US"), "units"),
    "contrast agent": (second_part(ContrastBolusAgent="Iodine"), "phases of a contrast agent"),
}
ONE_KIND: dict[str, tuple[str, Change]] = {
    "GE's added slices": ("CT", second_part(ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "ADD"])),
    "an acquisition for each slice": ("CT", lambda ds, k: setattr(ds, "AcquisitionNumber", str(k))),
    "an acquisition for each MR slice": (
        "MR", lambda ds, k: setattr(ds, "AcquisitionNumber", str(k))
    ),
    "values of another order": (
        "MR", two("ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
                  ["ORIGINAL", "PRIMARY", "M", "NORM", "ND"]),
    ),
    "options of another order": ("MR", two("ScanOptions", ["FS", "SP"], ["SP", "FS"])),
    "a trimmed echo time": ("MR", lambda ds, k: setattr(ds, "EchoTime", f"{2.98 + k * 1e-4:.4f}")),
    "a triggered repetition": (
        "MR", lambda ds, k: setattr(ds, "RepetitionTime", str(2300 + 7 * (k % 5)))
    ),
}  # fmt: skip


def is_refused(path: Path, what: str, remedy: str) -> None:
    with pytest.raises(InputRefused, match=f"several {what} in one series") as refused:
        read_dicom(path)
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("name", MR_KINDS)
def test_mr(tmp_path: Path, name: str) -> None:
    change, what = MR_KINDS[name]
    make_series(tmp_path / "s", shape=SHAPE, changes=change)
    is_refused(tmp_path / "s", what, "a folder of their own")


@pytest.mark.parametrize("name", CT_KINDS)
def test_ct(tmp_path: Path, name: str) -> None:
    change, what = CT_KINDS[name]
    make_series(tmp_path / "s", shape=SHAPE, modality="CT", changes=change)
    is_refused(tmp_path / "s", what, "a folder of their own")


@pytest.mark.parametrize("name", ONE_KIND)
def test_what_differs_within_one_kind_is_read(tmp_path: Path, name: str) -> None:
    modality, change = ONE_KIND[name]
    make_series(tmp_path / "s", shape=SHAPE, modality=modality, changes=change)
    assert read_dicom(tmp_path / "s").volume.geometry.shape == SHAPE


def test_both_kinds_are_named_with_their_slices(tmp_path: Path) -> None:
    phase = second_part(ImageType=["ORIGINAL", "PRIMARY", "P"])
    make_series(tmp_path / "s", shape=SHAPE, changes=phase)
    with pytest.raises(InputRefused) as refused:
        read_dicom(tmp_path / "s")
    assert "16 of ORIGINAL\\PRIMARY\\M, 8 of ORIGINAL\\PRIMARY\\P" in refused.value.found


def group(sequence: str, keyword: str, first: Any, second: Any) -> Edit:
    """A functional group by which the last two of five frames differ."""

    def edit(_: Dataset, frames: list[Dataset]) -> None:
        for number, frame in enumerate(frames):
            item = Dataset()
            setattr(item, keyword, second if number > 2 else first)
            setattr(frame, sequence, Sequence([item]))

    return edit


FRAME_KINDS = {
    "frames turn to phase": (
        group("MRImageFrameTypeSequence", "ComplexImageComponent", "MAGNITUDE", "PHASE"),
        "kinds of image",
    ),
    "frame types": (
        group("MRImageFrameTypeSequence", "FrameType", ["ORIGINAL", "PRIMARY", "T1", "NONE"],
              ["DERIVED", "PRIMARY", "T1", "NONE"]),
        "kinds of image",
    ),
    "echoes": (group("MREchoSequence", "EffectiveEchoTime", 2.5, 5.0), "echoes"),
    "b-values": (group("MRDiffusionSequence", "DiffusionBValue", 0.0, 1000.0), "b-values"),
    "with and without fat": (
        group("MRModifierSequence", "SpectrallySelectedSuppression", "NONE", "FAT"),
        "options of the scan",
    ),
    "contrast phases": (
        group("ContrastBolusUsageSequence", "ContrastBolusAgentPhase", "PRE_CONTRAST",
              "POST_CONTRAST"),
        "phases of a contrast agent",
    ),
    "phases of the heart": (
        group("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", 10.0, 60.0),
        "phases of the heart",
    ),
    "flip angles": (
        group("MRTimingAndRelatedParametersSequence", "FlipAngle", 9.0, 20.0), "flip angles"
    ),
    "time points": (group("FrameContentSequence", "TemporalPositionIndex", 1, 2), "time points"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAME_KINDS)
def test_frames(tmp_path: Path, name: str) -> None:
    edit, what = FRAME_KINDS[name]
    is_refused(make_enhanced(tmp_path, edit=edit), what, "write the frames of one of them")


def test_frames_of_one_kind_are_read(tmp_path: Path) -> None:
    one = group("MRImageFrameTypeSequence", "ComplexImageComponent", "MAGNITUDE", "MAGNITUDE")
    assert read_dicom(make_enhanced(tmp_path, edit=one)).warnings == (
        "The rescale slope differs from slice to slice; each was applied.",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda ds, _: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "P", "ND"]),
        lambda ds, _: setattr(ds, "ComplexImageComponent", "REAL"),
        lambda ds, _: ds.private_block(*GE_COMPONENT[::2], create=True).add_new(0x2F, "SS", 3),
    ],
    ids=["phase", "real", "imaginary by GE"],
)
def test_a_series_of_phase_alone_is_told(
    tmp_path: Path, change: Callable[[Dataset, int], None]
) -> None:
    make_series(tmp_path / "s", shape=(8, 6, 3), changes=change)
    (said,) = read_dicom(tmp_path / "s").warnings
    assert "not as a magnitude" in said
