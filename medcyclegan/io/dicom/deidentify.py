"""Take the patient out of a source header, by the Basic Profile of PS3.15 annex E.

A derived series is built from an allow-list anyway; here is a shorter one. What it does not name is
gone before the series is made: it is not looked for and removed, so nothing can be overlooked. UIDs
are replaced by others that follow from them and a secret key; with one key, series that belonged
together still do, and without it nobody can tell which they were.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydicom import Dataset
from pydicom.uid import generate_uid

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.derived_attributes import PLANE
from medcyclegan.io.dicom.source import code_item
from medcyclegan.io.dicom.vr_validation import copy_optional, copy_required
from medcyclegan.io.scan import DicomSourceHeader, SourceHeader

# For dates of making that must be there: plainly none of a patient.
NO_DATE = datetime(1900, 1, 1)

# No attribute of these is in table E.1-1 of PS3.15 but the UIDs, which are replaced.
_KEPT = (
    "PatientPosition",
    "BodyPartExamined",
    "Laterality",
    "SeriesNumber",
    "Manufacturer",
    "ManufacturerModelName",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "SyntheticData",
)
_KEPT_OR_REFUSED = ("SOPClassUID", "Rows", "Columns", *PLANE)
_REPLACED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_LEAST_KEY_BYTES = 16
_CODE_CHARACTERS = 12  # 48 bits: no two patients of a hospital get one code


@dataclass(frozen=True)
class Deidentifier:
    """Makes source headers without a patient; equal keys give equal pseudonyms and UIDs.

    Raises
    ------
    MedcycleganError
        If the key is too short to be a secret.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < _LEAST_KEY_BYTES:
            raise MedcycleganError(
                f"A key of {len(self.key)} bytes", rule=f"at least {_LEAST_KEY_BYTES} are needed"
            )

    def source_header(self, source_header: SourceHeader) -> SourceHeader:
        """Return the source header that is left; one that is not of DICOM has no patient in it.

        Raises
        ------
        InputRefused
            If the source says that its pixels show text on the patient.
        """
        if not isinstance(source_header, DicomSourceHeader):
            return source_header
        slices = tuple(self._slice(source) for source in source_header.slices)
        return replace(source_header, slices=slices)

    def uid(self, original: str) -> str:
        """Return the UID that stands for another."""
        return str(generate_uid(entropy_srcs=["uid", self.key.hex(), original]))

    def pseudonym(self, original: str) -> str:
        """Return the code that stands for a PatientID."""
        digest = hmac.new(self.key, original.encode(), "sha256").hexdigest()
        return digest[:_CODE_CHARACTERS].upper()

    def _slice(self, source: Dataset) -> Dataset:
        if source.get("BurnedInAnnotation") == "YES":
            raise InputRefused(
                "BurnedInAnnotation is YES: the pixels show text",
                rule="text in pixels may name the patient, and is not removed",
                remedy="remove it first, or leave out --deidentify",
            )
        ds = copy_required(source, _KEPT_OR_REFUSED)
        ds.update(copy_optional(source, _KEPT))
        for keyword in _REPLACED_UIDS:
            if original := source.get(keyword):
                setattr(ds, keyword, self.uid(str(original)))
        if "FrameOfReferenceUID" not in ds:  # or that of the grid would be taken, unreplaced
            ds.FrameOfReferenceUID = self.uid(f"frame of {source.get('SeriesInstanceUID')}")
        code = self.pseudonym(str(source.get("PatientID") or source.get("StudyInstanceUID")))
        ds.PatientName, ds.PatientID = f"Anonymous^{code}", f"ANON-{code}"
        ds.update(_statement())
        return ds


def _statement() -> Dataset:
    """Return what tells that the patient was taken out, and how."""
    ds = Dataset()
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = "REMOVED"
    ds.DeidentificationMethod = "medcyclegan: Basic Profile, by a list of what is kept"
    # The descriptions of the series are our own words: that is what the second option allows.
    ds.DeidentificationMethodCodeSequence = [
        code_item("113100", "Basic Application Confidentiality Profile"),
        code_item("113105", "Clean Descriptors Option"),
    ]
    return ds
