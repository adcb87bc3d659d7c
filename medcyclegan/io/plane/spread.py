"""Grey values in the range that a picture stores."""

from __future__ import annotations

import numpy as np

from medcyclegan.io.plane.write import stored_type
from medcyclegan.io.scan import Passport
from medcyclegan.task import Window
from medcyclegan.volume import Volume


def spread(volume: Volume, window: Window, *, passport: Passport) -> Volume:
    """Spread ``window`` over all that the source's kind of picture stores: 0 to 255, 0 to 65535.

    So a model's output fills a picture of 8 bits as well as one of 16, and nothing is cut off.
    Where the values are stored as real or signed numbers they stay as they are.
    """
    dtype = stored_type(volume, passport)
    if dtype not in ("uint8", "uint16"):
        return volume
    share = (volume.voxels - window.lower) / (window.upper - window.lower)
    return volume.with_voxels((share * np.iinfo(dtype).max).astype(np.float32))
