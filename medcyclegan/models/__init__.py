"""Model folders: a card that says everything, and weights that are checked before use."""
