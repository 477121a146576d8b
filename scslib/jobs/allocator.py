"""Have the C library keep the memory that PyTorch frees, for its next tensor.

As it comes, glibc asks the system for every tensor of some megabytes and gives it back after use. The
system fills each page with zeros again, and that takes longer than many a network does:
benchmarks/allocator.py measures it. A process then holds up to a third more than it needs at once.

`devices` does this for every process that runs networks. Whoever has set one of `VARIABLES` decides
himself.
"""

from __future__ import annotations

import ctypes
import os

VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX")
# numbers from glibc's malloc.h: give nothing back, map nothing apart, one heap for all threads
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = (-1, 2**31 - 1), (-4, 0), (-8, 1)


def keep_freed_memory() -> bool:
    """Set it for this process, and say whether it was set; other C libraries are left as they are."""
    if any(name in os.environ for name in VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; on Windows there is no library None
        return False
    return all([mallopt(*setting) for setting in (TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX)])
