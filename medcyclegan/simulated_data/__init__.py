"""Folders of simulated data for each of the translations."""
