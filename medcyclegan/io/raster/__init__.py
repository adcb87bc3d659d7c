"""Raster images without a place in space: PNG, JPEG and TIFF, as volumes of one slice."""
