"""The numeric types that every formula takes: a float gives the answer, an array gives a whole search."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Number: TypeAlias = float | Array

GIB = float(2**30)
GB = 1e9
SECONDS_PER_HOUR = 3600.0
HOURS_PER_MONTH = 730.0
