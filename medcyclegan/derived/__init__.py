"""Physical quantities derived from the HU of a CT by piecewise linear curves."""
