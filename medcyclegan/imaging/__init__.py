"""Voxels before and after a network: masks, resampling, normalisation, enhancement."""
