"""A patient's name leaves with the bytes that it came with, whatever the character set says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import quiet
from medcyclegan.io.dicom.deidentify import Deidentifier
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.scan import DicomSourceHeader, Scan
from tests.dicom_derived import write_fake
from tests.dicom_factory import make_series

SHAPE = (6, 5, 3)
CHARACTER_SET, NAME, PATIENT, DESCRIPTION, INSTITUTION = (
    b"\x08\x00\x05\x00CS",
    b"\x10\x00\x10\x00PN",
    b"\x10\x00\x20\x00LO",
    b"\x08\x00\x3e\x10LO",
    b"\x08\x00\x80\x00LO",
)
# The examples of PS3.5 H.3, I.2, J.1 and K.2, and what scanners were seen to do.
NAMES = {
    "UTF-8, undeclared": (None, "Müller^Jörg".encode()),
    "Latin-1, undeclared": (None, "Müller^Jörg".encode("latin-1")),
    "GBK, undeclared": (None, "王^小明".encode("gbk")),
    "Shift JIS, undeclared": (None, "山田^太郎".encode("shift_jis")),
    "UTF-8, an empty character set": (b"", "Müller".encode()),
    "UTF-8": (b"ISO_IR 192", "Łukasz^Ω".encode()),
    "Latin-1, declared as UTF-8": (b"ISO_IR 192", "Müller".encode("latin-1")),
    "GBK, declared as UTF-8": (b"ISO_IR 192", "王^小明".encode("gbk")),
    "UTF-8 cut within a letter": (b"ISO_IR 192", "Müller^Jö".encode()[:-1]),
    "UTF-8, declared as Latin-1": (b"ISO_IR 100", "Müller".encode()),
    "an unknown character set": (b"ISO_IR 999", b"M\xfcller"),
    "GB18030": (b"GB18030", "王^小东".encode("gb18030")),
    "Cyrillic": (b"ISO_IR 144", b"\xbb\xee\xda\xe1"),
    "Thai": (b"ISO_IR 166", "นามสกุล".encode("tis-620")),
    "Japanese": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="
        b"\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    "Korean": (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    "Chinese by ISO 2022 IR 58": (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
    ),
}


def replaced(data: bytes, element: bytes, value: bytes | None) -> bytes:
    """Put other bytes into an element in explicit VR; None takes it out."""
    at = data.index(element)
    (length,) = struct.unpack_from("<H", data, at + 6)
    if value is None:
        return data[:at] + data[at + 8 + length :]
    padded = value + b" " * (len(value) % 2)
    return data[: at + 6] + struct.pack("<H", len(padded)) + padded + data[at + 8 + length :]


def scan_with(folder: Path, charset: bytes | None, **values: bytes) -> Scan:
    """Read a series in which elements, by the names above, have these bytes."""

    def change(ds: Dataset, _: int) -> None:
        ds.InstitutionName = "Hospital"

    for path in make_series(folder / "mr", shape=SHAPE, changes=change):
        data = replaced(path.read_bytes(), CHARACTER_SET, charset)
        for name, value in values.items():
            data = replaced(data, globals()[name], value)
        path.write_bytes(data)
    return read_dicom(folder / "mr")


def raw(path: Path, keyword: str) -> bytes:
    with quiet():
        element = dcmread(path).get_item(keyword)
    assert element is not None
    assert isinstance(element.value, bytes)
    return element.value.rstrip(b" ")


@pytest.mark.parametrize("name", NAMES)
def test_the_name_keeps_its_bytes(tmp_path: Path, name: str) -> None:
    charset, value = NAMES[name]
    write_fake(scan_with(tmp_path, charset, NAME=value), tmp_path / "ct")
    made, source = tmp_path / "ct" / "CT_0001.dcm", tmp_path / "mr" / "IM0000.dcm"
    assert raw(made, "PatientName") == value
    with quiet():  # a reader warns of some, here as in the source
        for keyword in ("SpecificCharacterSet", "PatientName"):
            assert str(dcmread(made).get(keyword)) == str(dcmread(source).get(keyword))


def test_other_texts_keep_theirs(tmp_path: Path) -> None:
    value = "Zürich 头".encode()
    scan = scan_with(tmp_path, None, PATIENT=value, INSTITUTION=value)
    write_fake(scan, tmp_path / "ct")
    made = tmp_path / "ct" / "CT_0001.dcm"
    assert raw(made, "PatientID") == value
    (scanner,) = dcmread(made).ContributingEquipmentSequence
    assert scanner.InstitutionName == value.decode("latin-1")  # as pydicom reads what is undeclared


def test_a_description_that_nobody_can_read_gives_its_plain_letters(tmp_path: Path) -> None:
    scan = scan_with(tmp_path, None, DESCRIPTION="T1 müde 头".encode() * 3)
    write_fake(scan, tmp_path / "ct")
    said = raw(tmp_path / "ct" / "CT_0001.dcm", "SeriesDescription")
    assert said == b"sCT (synthetic, not acquired) T1 mde T1 mde T1 mde"


def test_implicit_value_representations(tmp_path: Path) -> None:
    scan_with(tmp_path, None, NAME="Müller".encode())
    for path in (tmp_path / "mr").iterdir():
        ds = dcmread(path)
        ds.PatientName  # noqa: B018  # decoded as Latin-1, which keeps bytes
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        ds.save_as(path, implicit_vr=True)
    assert raw(tmp_path / "mr" / "IM0000.dcm", "PatientName") == "Müller".encode()
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    assert raw(tmp_path / "ct" / "CT_0001.dcm", "PatientName") == "Müller".encode()


def test_an_escape_that_no_character_set_announces_is_refused(tmp_path: Path) -> None:
    scan = scan_with(tmp_path, None, NAME=b"\x1b[31mred")
    with pytest.raises(InputRefused, match="PatientName of the source is not valid"):
        write_fake(scan, tmp_path / "ct")


def test_a_name_that_was_changed_is_written_as_changed(tmp_path: Path) -> None:
    """Else the old bytes would come back."""
    name = "Müller".encode()
    scan = scan_with(tmp_path, None, NAME=name)
    assert isinstance(scan.source_header, DicomSourceHeader)
    for ds in scan.source_header.slices:
        ds.PatientName = "Other^Name"
    write_fake(scan, tmp_path / "ct")
    assert raw(tmp_path / "ct" / "CT_0001.dcm", "PatientName") == b"Other^Name"


def test_it_does_not_come_back_after_deidentification(tmp_path: Path) -> None:
    name = "Müller".encode()
    scan = scan_with(tmp_path, None, NAME=name, PATIENT=name, DESCRIPTION=name)
    source_header = Deidentifier(key=b"k" * 32).source_header(scan.source_header)
    write_fake(Scan(scan.volume, source_header, scan.source, scan.modality), tmp_path / "ct")
    for path in (tmp_path / "ct").iterdir():
        assert name not in path.read_bytes()
