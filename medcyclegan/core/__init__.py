"""Values that all rooms share: geometry, volume, task, time and text."""
