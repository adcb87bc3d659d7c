"""Laws of --deidentify: nothing of the patient is left, what belongs together still does.

The table of PS3.15 E.1-1 comes from dicom-anonymizer, which makes it from the standard's own text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.deidentify import NO_DATE, Deidentifier
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from medcyclegan.io.scan import ItkSourceHeader, Scan
from tests.dicom_conformance import validator_errors
from tests.dicom_derived import derivation, sources
from tests.dicom_factory import PATIENT_ID, make_series

SHAPE = (6, 5, 3)
KEY = b"a key that is kept secret"
MARK = "ZQX"  # in no word of ours
# A value of each type that tells of the patient, and is valid.
TELLING = {
    "AE": MARK, "AS": "047Y", "CS": MARK, "DA": "19770707", "DS": "77.7", "DT": "19770707070707",
    "IS": "7777777", "LO": f"{MARK} text", "LT": f"{MARK} text", "PN": f"{MARK}^Name", "SH": MARK,
    "ST": f"{MARK} text", "TM": "070707.7", "UC": f"{MARK} text", "UI": "1.2.77.777.7777",
    "UT": f"{MARK} text", "UR": f"http://{MARK}.example",
}  # fmt: skip
# What the profile removes or replaces by meaningless values, and we replace by our own words (that
# is the Clean Descriptors Option, 113105) or by a date that is plainly none.
OUR_WORDS = {"SeriesDescription", "DerivationDescription", "PatientName", "PatientID"}
STAGES, PARTS = ("InstanceCreation", "Series", "Content"), ("Date", "Time")
OUR_DATES = {f"{stage}{part}" for stage in STAGES for part in PARTS}


@cache
def profile() -> dict[str, str]:
    """The action of the Basic Profile by keyword, as in ``X`` or ``Z_D``."""
    table = dicom_anonymization_database_selector("dicomfields_2026c")
    actions = {}
    for action, tags in table.items():
        for tag in tags if action != "ALL_TAGS" else ():
            if len(tag) == 2 and tag[0] > 2 and (keyword := keyword_for_tag(tag)):
                actions[keyword] = action.removesuffix("_TAGS")
    return actions


def tell(ds: Dataset, _: int) -> None:
    """Give an MR slice every attribute of the table, in its own words."""
    kept = {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"}
    for keyword in profile():
        vr = dictionary_VR(keyword)
        if vr in TELLING and keyword not in kept and keyword != "PatientID":
            setattr(ds, keyword, TELLING[vr])
    equipment = Dataset()
    equipment.Manufacturer, equipment.InstitutionName = "Provenance", f"{MARK} hospital"
    ds.ContributingEquipmentSequence = [equipment]
    ds.PositionReferenceIndicator = f"{MARK} nose"
    ds.add_new(0x00090010, "LO", f"{MARK} MAKER")


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    make_series(tmp_path / "mr", shape=SHAPE, changes=tell)
    return read_dicom(tmp_path / "mr")


def write(scan: Scan, to: Path, deidentifier: Deidentifier | None = None) -> list[Dataset]:
    """Write a CT with or without the patient, as a conversion does."""
    how, source_header = derivation(to.name), scan.source_header
    if deidentifier is not None:
        source_header, how = deidentifier.source_header(source_header), replace(how, now=NO_DATE)
    volume = scan.volume.with_voxels(scan.volume.voxels, unit="HU")
    write_dicom_ct(volume, source_header=source_header, to=to, derivation=how)
    return [dcmread(path) for path in sorted(to.glob("*.dcm"))]


def elements(ds: Dataset) -> Iterator[DataElement]:
    """All elements but sequences, those in sequences too."""
    return (element for element in ds.iterall() if element.VR != "SQ")


def breaches(ds: Dataset, source_uids: set[str]) -> list[str]:
    """Attributes that do not keep to the profile."""
    found = []
    for element in ds.iterall():
        action, keyword = profile().get(element.keyword, "K"), element.keyword
        if keyword in OUR_WORDS or action == "K":
            continue
        is_kept = {
            "U": lambda e=element: str(e.value) not in source_uids and not e.is_empty,
            "X_Z_U_STAR": lambda: True,  # the UIDs inside are looked at by themselves
            "Z": lambda e=element: e.is_empty,
        }.get(action, lambda: False)
        if keyword in OUR_DATES:
            expected = NO_DATE.strftime("%Y%m%d" if keyword.endswith("Date") else "%H%M%S.%f")
            if str(element.value) != expected:
                found.append(f"{keyword}: {action}")
        elif not is_kept():
            found.append(f"{keyword}: {action}")
    return found


def uids_of(scan: Scan) -> set[str]:
    return {
        str(element.value)
        for ds in sources(scan)
        for element in elements(ds)
        if element.VR == "UI" and element.keyword != "SOPClassUID"
    }


def test_the_profile_is_kept_by_every_attribute(scan: Scan, tmp_path: Path) -> None:
    for ds in write(scan, tmp_path / "clean", Deidentifier(KEY)):
        assert breaches(ds, uids_of(scan)) == []
        assert (ds.PatientIdentityRemoved, ds.PatientName.family_name) == ("YES", "Anonymous")
        codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105"]
        assert ds.LongitudinalTemporalInformationModified == "REMOVED"
    (ds, *_) = write(scan, tmp_path / "named")  # the control
    assert len(breaches(ds, uids_of(scan))) > 20


def test_no_byte_of_what_tells_is_left(scan: Scan, tmp_path: Path) -> None:
    telling = [MARK, PATIENT_ID, "19770707", "070707.7", "77.777", *uids_of(scan)]
    write(scan, tmp_path / "clean", Deidentifier(KEY))
    for path in (tmp_path / "clean").iterdir():
        assert [text for text in telling if text.encode() in path.read_bytes()] == []
    write(scan, tmp_path / "named")  # the control
    content = (tmp_path / "named" / "CT_0001.dcm").read_bytes()
    assert len([text for text in telling if text.encode() in content]) > 5


def test_the_validators_find_no_error(scan: Scan, tmp_path: Path) -> None:
    write(scan, tmp_path / "clean", Deidentifier(KEY))
    assert validator_errors(tmp_path / "clean", []) == []


def test_what_belongs_together_still_does(tmp_path: Path) -> None:
    made = {}
    for name in ("t1", "t2", "other"):

        def change(ds: Dataset, _: int, name: str = name) -> None:
            if name == "other":
                ds.PatientID, ds.StudyInstanceUID = "another", "1.2.3"

        make_series(tmp_path / name, shape=SHAPE, changes=change)
        made[name] = write(read_dicom(tmp_path / name), tmp_path / f"ct_{name}", Deidentifier(KEY))
    t1, t2, other = made["t1"], made["t2"], made["other"]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({str(ds[keyword].value) for ds in (*t1, *t2)}) == 1
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        assert t1[0][keyword].value != other[0][keyword].value
    referred = {ds.SourceImageSequence[0].ReferencedSOPInstanceUID for ds in t1}
    assert len(referred) == SHAPE[2]
    stranger = write(read_dicom(tmp_path / "t1"), tmp_path / "stranger", Deidentifier(KEY[::-1]))
    assert stranger[0].PatientID != t1[0].PatientID
    assert stranger[0].StudyInstanceUID != t1[0].StudyInstanceUID


def test_place_and_voxels_are_untouched(scan: Scan, tmp_path: Path) -> None:
    write(scan, tmp_path / "clean", Deidentifier(KEY))
    clean = read_dicom(tmp_path / "clean").volume
    assert clean.geometry.same_grid(scan.volume.geometry)
    assert (clean.voxels == scan.volume.voxels).all()


@pytest.mark.parametrize("missing", ["FrameOfReferenceUID", "PatientID", "SeriesDescription"])
def test_what_the_source_lacks_does_no_harm(tmp_path: Path, missing: str) -> None:
    make_series(tmp_path / "mr", shape=SHAPE, changes=lambda ds, _: delattr(ds, missing))
    (ds, *_) = write(read_dicom(tmp_path / "mr"), tmp_path / "clean", Deidentifier(KEY))
    assert ds.PatientID.startswith("ANON-")
    assert ds.FrameOfReferenceUID


def test_text_in_the_pixels_is_refused(tmp_path: Path) -> None:
    for value, is_refused in (("YES", True), ("NO", False)):

        def change(ds: Dataset, _: int, value: str = value) -> None:
            ds.BurnedInAnnotation = value

        make_series(tmp_path / value, shape=SHAPE, changes=change)
        source_header = read_dicom(tmp_path / value).source_header
        if is_refused:
            with pytest.raises(InputRefused, match="BurnedInAnnotation"):
                Deidentifier(KEY).source_header(source_header)
        else:
            Deidentifier(KEY).source_header(source_header)


def test_a_source_header_without_dicom_stays_and_a_short_key_is_refused() -> None:
    source_header = ItkSourceHeader()
    assert Deidentifier(KEY).source_header(source_header) is source_header
    assert KEY.decode() not in repr(Deidentifier(KEY))
    with pytest.raises(MedcycleganError, match="3 bytes"):
        Deidentifier(b"abc")
