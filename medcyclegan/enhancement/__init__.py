"""Classical enhancement of radiographs: contrast, noise and edges, by scikit-image."""
