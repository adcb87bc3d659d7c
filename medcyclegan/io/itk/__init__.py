"""MetaImage and NRRD, read and written without mending silently."""
