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
WATT_PER_KW = 1000.0
HOURS_PER_MONTH = 730.0

GLIBC_BLOCK_BYTES = 24 * 2**20


def keep_freed_memory() -> None:
    """Let the process keep the memory of freed arrays for the next ones, where it would hand each back.

    glibc raises its thresholds for returning memory to twice the largest block that was freed, at most 32 MiB;
    this block is never written to, so it costs nothing. Elsewhere it does nothing.
    """
    np.empty(GLIBC_BLOCK_BYTES, dtype=np.uint8)
