"""Texts beyond ASCII keep the bytes that they were read with.

Which letters bytes stand for, SpecificCharacterSet tells; it may be absent or wrong, and to decode
and encode again then makes another name. So what a derived series takes over is written from the
bytes.
"""

from __future__ import annotations

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from medcyclegan.io.dicom.values import PYDICOM_ERRORS, quiet

_TEXTS = frozenset({"PN", "LO", "SH", "ST", "LT", "UC", "UT"})
_ESCAPE = b"\x1b"
# Announces GB 2312 (PS3.3 C.12.1.1.2, ISO 2022 IR 58) before each part of a name; pydicom decodes
# what follows and leaves this.
_GB_2312, _GB_2312_ESCAPE = "ISO 2022 IR 58", "\x1b$)A"


class KeptText(DataElement):
    """A text as it was decoded, and its bytes, which are written if the text was not changed.

    ``is_sound`` says that the character set is one that is known, and fits the bytes.
    """

    original: bytes
    decoded: str
    is_sound: bool

    @property
    def is_unchanged(self) -> bool:
        """Whether the value is still that of the bytes."""
        return str(self.value) == self.decoded


def keep_text(header: Dataset) -> None:
    """Turn the texts of a header, as it was read, into such as keep their bytes.

    Plain ASCII is the same in all character sets, and is left as it is.
    """
    for tag in list(header.keys()):
        raw = header.get_item(tag)
        if isinstance(raw, RawDataElement) and _needs_its_bytes(raw):
            assert isinstance(raw.value, bytes)
            kept = _decoded(header, tag, raw.value)
            if kept is not None:
                header[tag] = kept


def with_kept_bytes(ds: Dataset) -> Dataset:
    """Return a data set to write, in explicit VR little endian: kept texts as their bytes.

    The items of sequences too.
    """
    made = Dataset()
    for element in ds:
        if element.VR == "SQ":
            items = [with_kept_bytes(item) for item in element.value]
            made[element.tag] = DataElement(element.tag, "SQ", items)
        elif isinstance(element, KeptText) and element.is_unchanged:
            made[element.tag] = _raw(element)
        else:
            made[element.tag] = element
    # As if read from a file of the encoding that is written: else pydicom decodes the bytes anew.
    made.set_original_encoding(False, True, made._character_set)
    return made


def written_bytes(element: KeptText) -> bytes:
    """Return the value of a kept text as it stands in a file, of even length."""
    return element.original + b" " * (len(element.original) % 2)


def _raw(element: KeptText) -> RawDataElement:
    value = written_bytes(element)
    return RawDataElement(element.tag, element.VR, len(value), value, 0, False, True)


def _needs_its_bytes(raw: RawDataElement) -> bool:
    if not isinstance(raw.value, bytes) or (raw.value.isascii() and _ESCAPE not in raw.value):
        return False
    try:
        return (raw.VR if raw.VR not in (None, "UN") else dictionary_VR(raw.tag)) in _TEXTS
    except KeyError:  # a private attribute
        return False


def _decoded(header: Dataset, tag: BaseTag, original: bytes) -> KeptText | None:
    try:
        with quiet():
            element = header[tag]
            declared = header.get("SpecificCharacterSet") or []
            value = element.value
    except PYDICOM_ERRORS:
        return None
    names = [declared] if isinstance(declared, str) else [str(name) for name in declared]
    if _GB_2312 in names:
        value = str(value).replace(_GB_2312_ESCAPE, "")
    kept = KeptText(element.tag, element.VR, value)
    kept.original, kept.decoded = original, str(kept.value)
    known = bool(names) and all(name in python_encoding for name in names)
    kept.is_sound = known and any(names) and "\ufffd" not in kept.decoded
    return kept
