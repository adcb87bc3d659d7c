"""A DICOM node with a web page: series arrive, are translated, and are sent on."""
