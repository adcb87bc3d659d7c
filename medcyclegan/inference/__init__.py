"""A network over a volume: channels, orientations of slabs, sliding slabs."""
