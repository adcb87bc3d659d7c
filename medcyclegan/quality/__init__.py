"""May a result be trusted: calibration of a model on images that it is meant for."""
