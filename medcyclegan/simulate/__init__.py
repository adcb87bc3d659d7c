"""Anatomy and physics from code: phantoms and simulated pairs with the truth known."""
