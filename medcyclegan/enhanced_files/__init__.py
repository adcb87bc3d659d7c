"""Radiographs on disk into enhanced ones on disk, and on request through a model."""
