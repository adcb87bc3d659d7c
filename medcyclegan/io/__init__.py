"""Files in, files out: DICOM series, NIfTI, MetaImage and NRRD.

``read.read_scan`` turns any of them into a ``Scan``, that is a ``Volume`` and its ``SourceHeader``;
``write.write_scan`` turns a volume and the source header of its source into a file or a series.
Everything is checked before it is believed, and what was mended is said in ``Scan.warnings``.
Nothing is done here to voxels but what the formats ask for.
"""
