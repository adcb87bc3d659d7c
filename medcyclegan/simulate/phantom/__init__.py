"""The head phantom: anatomy from implicit shapes."""
