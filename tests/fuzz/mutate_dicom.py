"""Damage that knows the elements of a DICOM file: tags, types, lengths and values."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.mutate_bytes import ODD_INTEGERS, mutate_bytes

_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UT", b"UC", b"UR")
_LONG_VRS += (b"SV", b"UV")
_VRS = (*_LONG_VRS, b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO")
_VRS += (b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"ZZ", b"\0\0")
_ODD_VALUES = (
    b"", b"\\", b"\\\\", b"1\\2", b"nan", b"inf\\inf\\inf", b"1e400", b"-0", b"0", b"-1", b"1.",
    b"1,5", b"99999999999999999999", b"1e308\\1e308\\1e308", b"1e-320\\1e-320", b"0\\0\\0\\0\\0\\0",
    b"1\\0\\0\\1\\0\\0", b"1\\0\\0\\0\\1\\0", b"\0", b"\0\0\0\0", b"\xff" * 8, b"\x1b$B\x1b(J",
    b"\x1b$B!!", b"\x1b", b"../../x", b"/etc/x", b"A" * 300, b"A" * 70000,
    b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.1.99", b"ISO 2022 IR 87",
    b"\\ISO 2022 IR 149", b"ISO_IR 192", b"bogus", b"GB18030", b"MONOCHROME1", b"RGB",
    b"PALETTE COLOR", b"MR", b"CT", b"MOSAIC",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"\xc3\x28\xa0\xa1", b"20240230", b"250000.9999999", b"0Y", b"2147483648", b"-2147483649",
    b"1\x002", b"^^^^^^=====",
)  # fmt: skip


@dataclass(frozen=True)
class Element:
    """One element at the top level; ``length`` may differ from that of the value."""

    group: int
    number: int
    vr: bytes
    length: int
    value: bytes


@dataclass(frozen=True)
class Encoding:
    """How a data set is put into bytes."""

    implicit: bool
    order: str

    def pack(self, element: Element) -> bytes:
        """Return the bytes of an element."""
        tag = struct.pack(f"{self.order}HH", element.group, element.number)
        length = element.length & 0xFFFFFFFF
        if self.implicit:
            return tag + struct.pack(f"{self.order}I", length) + element.value
        if element.vr in _LONG_VRS:
            packed = struct.pack(f"{self.order}I", length)
            return tag + element.vr + b"\0\0" + packed + element.value
        return tag + element.vr + struct.pack(f"{self.order}H", length & 0xFFFF) + element.value

    def unpack(self, data: bytes) -> list[Element]:
        """Part a valid data set into its elements; one of open length runs to the end."""
        elements, at = [], 0
        while at + 8 <= len(data):
            group, number = struct.unpack_from(f"{self.order}HH", data, at)
            vr, start = b"", at + 8
            if self.implicit:
                (length,) = struct.unpack_from(f"{self.order}I", data, at + 4)
            elif (vr := data[at + 4 : at + 6]) in _LONG_VRS:
                (length,), start = struct.unpack_from(f"{self.order}I", data, at + 8), at + 12
            else:
                (length,) = struct.unpack_from(f"{self.order}H", data, at + 6)
            end = len(data) if length == 0xFFFFFFFF else start + length
            elements.append(Element(group, number, vr, length, data[start:end]))
            at = end
        return elements


_META = Encoding(implicit=False, order="<")
_ENCODINGS = {
    "1.2.840.10008.1.2": Encoding(implicit=True, order="<"),
    "1.2.840.10008.1.2.2": Encoding(implicit=False, order=">"),
}
_DEFLATED = "1.2.840.10008.1.2.1.99"


def mutate_dicom(rng: Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """Damage bytes of one file, or elements of one file or, in the same way, of all of them."""
    if rng.random() < 0.2:
        name = rng.choice(sorted(files))
        return {**files, name: mutate_bytes(rng, files[name])}
    chosen = sorted(files) if rng.random() < 0.6 else [rng.choice(sorted(files))]
    state = rng.getstate()
    damaged = dict(files)
    for name in chosen:
        rng.setstate(state)  # the same damage to each, so that the series stays alike
        damaged[name] = _mutate_elements(rng, files[name])
    return damaged


def _mutate_elements(rng: Random, data: bytes) -> bytes:
    start = 132 if data[128:132] == b"DICM" else 0
    meta_end = start
    if start:
        meta_end = start + 12 + struct.unpack_from("<I", data, start + 8)[0]
    meta = _META.unpack(data[start:meta_end])
    syntax = next((e.value for e in meta if e.number == 0x0010), b"").strip(b"\0").decode()
    body = data[meta_end:]
    if syntax == _DEFLATED:
        body = zlib.decompress(body, -zlib.MAX_WBITS)
    encoding = _ENCODINGS.get(syntax, _META)
    elements = encoding.unpack(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if meta and rng.random() < 0.1:
            _change(rng, meta)
        else:
            _change(rng, elements)
    body = b"".join(encoding.pack(element) for element in elements)
    if syntax == _DEFLATED:
        engine = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = engine.compress(body) + engine.flush()
    return data[:start] + b"".join(_META.pack(element) for element in meta) + body


def _change(rng: Random, elements: list[Element]) -> None:
    at = rng.randrange(len(elements) + 1)
    if at == len(elements):
        elements.insert(rng.randrange(len(elements) + 1), _odd_element(rng))
        return
    element = elements[at]
    action = rng.randrange(8)
    if action <= 2:
        value = rng.choice((*_ODD_VALUES, _odd_number(rng), mutate_bytes(rng, element.value)))
        elements[at] = replace(element, value=value, length=len(value))
    elif action == 3:
        elements[at] = replace(element, length=rng.choice((*ODD_INTEGERS, element.length + 1)))
    elif action == 4:
        elements[at] = replace(element, vr=rng.choice(_VRS))
    elif action == 5:
        other = rng.choice(elements)
        elements[at] = replace(element, group=other.group, number=other.number)
    elif action == 6:
        del elements[at]
    else:
        elements.insert(rng.randrange(len(elements) + 1), element)


def _odd_number(rng: Random) -> bytes:
    return struct.pack(rng.choice(("<H", ">H")), rng.choice(ODD_INTEGERS) & 0xFFFF)


def _odd_element(rng: Random) -> Element:
    group = rng.choice((0x0000, 0x0002, 0x0008, 0x0009, 0x0010, 0x0028, 0x5200, 0x7FE0, 0xFFFE))
    number = rng.choice((0x0000, 0x0005, 0x0010, 0x0100, 0x1140, 0x9230, 0xE000, 0xE00D, 0xFFFF))
    depth = rng.choice((1, 3, 40, 600))
    opened = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    nested = opened + struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    value = rng.choice((*_ODD_VALUES, nested * depth, opened * depth))
    length = rng.choice((len(value), 0xFFFFFFFF, rng.choice(ODD_INTEGERS)))
    return Element(group, number, rng.choice(_VRS), length, value)
