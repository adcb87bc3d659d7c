"""From folders of images of two kinds to the slabs of a training."""
