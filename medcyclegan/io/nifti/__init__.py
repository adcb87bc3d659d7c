"""NIfTI: headers, grids and voxels, each checked before it is believed."""
