"""From a volume in space to what a network takes, and back: resampling, scaling, slabs."""
