"""Attributes of derived series: the allow-list of those taken over, and what all have in common.

Which attributes a derived series takes over from its source: an allow-list.
A header that is copied and then cleaned keeps whatever nobody thought of: private tags, a contrast
agent, the MR's pixel limits. What is not named here or made by the writer is not in the output.
"""

from __future__ import annotations

from datetime import datetime

from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from medcyclegan.core.geometry import Geometry

# Type 2 of the patient, study, series and frame of reference modules: present, even if empty.
PRESENT_EVEN_IF_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientPosition",
    "PositionReferenceIndicator",
)

# Taken over where the source has them; a value that DICOM does not allow is an error.
REQUIRED_AS_SOURCE = (
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)

# Taken over where the source has them with a valid value. All of them describe the patient or the
# study, which are to be told alike in every series: dcentvfy objects when one is dropped.
OPTIONAL_AS_SOURCE = (
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientBodyMassIndex",
    "PatientBirthTime",
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "OtherPatientNames",
    "EthnicGroup",
    "PatientSpeciesDescription",
    "PatientBreedDescription",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "QualityControlSubject",
    "PatientComments",
    "PatientState",
    "PatientSexNeutered",
    "PregnancyStatus",
    "LastMenstrualDate",
    "SmokingStatus",
    "MedicalAlerts",
    "Allergies",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmittingDiagnosesDescription",
    "ReasonForVisit",
    "AdmissionID",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "StudyDescription",
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "LongitudinalTemporalInformationModified",
    "BodyPartExamined",
    "Laterality",
)

# Of the scanner, for ContributingEquipmentSequence; only those with a valid value.
EQUIPMENT = (
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "StationName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)

# Of each item of a code sequence.
CODE = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")

# Of the matching slice: where its pixels lie.
PLANE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")

# Of a CT's matching slice, for a CT made from it: how the patient was exposed and reconstructed,
# and with which contrast agent. It still holds; none of it is told of a CT made from an MR.
CT_ACQUISITION = (
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "AcquisitionNumber",
    "ProtocolName",
    "ScanOptions",
    "KVP",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "GantryDetectorTilt",
    "TableHeight",
    "RotationDirection",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "FilterType",
    "GeneratorPower",
    "FocalSpots",
    "ConvolutionKernel",
    "RevolutionTime",
    "SingleCollimationWidth",
    "TotalCollimationWidth",
    "TableSpeed",
    "TableFeedPerRotation",
    "SpiralPitchFactor",
    "ExposureModulationType",
    "CTDIvol",
    "SliceLocation",
    "ContrastBolusAgent",
    "ContrastBolusRoute",
    "ContrastBolusVolume",
    "ContrastBolusTotalDose",
    "ContrastBolusIngredient",
    "ContrastBolusIngredientConcentration",
)

# Of a radiograph, for one made from it: how it was exposed, and which way round it lies.
RADIOGRAPH = (
    "AcquisitionDate",
    "AcquisitionTime",
    "ProtocolName",
    "BodyPartExamined",
    "ViewPosition",
    "PatientOrientation",
    "ImageLaterality",
    "KVP",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "EstimatedRadiographicMagnificationFactor",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "ExposureInuAs",
    "ImageAndFluoroscopyAreaDoseProduct",
    "FilterType",
    "FocalSpots",
    "Grid",
    "PlateType",
    "PhosphorType",
    "Sensitivity",
    "DetectorType",
    "PositionerType",
    "PixelSpacing",
    "ImagerPixelSpacing",
)

# The same, as codes.
RADIOGRAPH_CODES = ("AnatomicRegionSequence", "ViewCodeSequence")

# How the values were shown.
WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")


def blank_identity() -> Dataset:
    """Return the attributes of patient and study that must be present, all empty."""
    ds = Dataset()
    for keyword in PRESENT_EVEN_IF_EMPTY:
        setattr(ds, keyword, "")
    return ds


def times_of(now: datetime) -> Dataset:
    """Return the times of making: of the instance, the series and the content."""
    ds = Dataset()
    for stage in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{stage}Date", now.strftime("%Y%m%d"))
        setattr(ds, f"{stage}Time", now.strftime("%H%M%S.%f"))
    return ds


def pixel_format(geometry: Geometry, *, bits_stored: int, signed: bool) -> Dataset:
    """Return the description of 16 bit pixels on a grid (i, j, k): i are columns, j are rows."""
    ds = Dataset()
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Columns, ds.Rows, slices = geometry.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(signed)
    if slices > 1:
        ds.SpacingBetweenSlices = format_number_as_ds(geometry.spacing_mm[2])
    return ds
