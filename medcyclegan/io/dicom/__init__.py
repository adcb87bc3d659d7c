"""DICOM: finding, reading and deriving series with our own geometry."""
