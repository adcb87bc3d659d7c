"""Heads from label maps: anatomy drawn at random, MR and CT of whole heads and slabs."""
