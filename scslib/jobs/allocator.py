"""Have the C library keep the memory that PyTorch frees, for its next tensor.

As it comes, glibc asks the system for every tensor of some megabytes and gives it back after use. The
system fills each page with zeros again, and that takes longer than many a network does:
benchmarks/allocator.py measures it. Tensors above 32 MB go back to the system as before. Kept, they
would leave holes that no other fits into, and a process would grow to several times what it needs.

`devices` does this for every process that runs networks. Whoever has set one of `VARIABLES` decides
himself.
"""

from __future__ import annotations

import ctypes
import os

VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX")
KEPT = 2**25  # bytes: the largest that glibc does not map apart, its own limit for that
# numbers from glibc's malloc.h: give nothing back, map apart from there on, one heap for all threads
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = (-1, 2**31 - 1), (-3, KEPT), (-8, 1)


def keep_freed_memory() -> bool:
    """Set it for this process, and say whether it was set; other C libraries are left as they are."""
    if any(name in os.environ for name in VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; on Windows there is no library None
        return False
    return all([mallopt(*setting) for setting in (TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX)])
