"""Count cores, and read ahead with a few threads."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

# Seconds after which a thread has to hand over Python's lock. One that decodes gives it back for every
# frame: with Python's own 5 ms, pictures and sound together took a tenth more time.
SWITCH_S = 5e-4


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(count: int, *, alone: bool) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that take turns quickly; unless `alone`, PyTorch computes on one core in each.

    Where nobody has imported PyTorch there is nothing to limit, and it is not imported for that.
    """
    torch = sys.modules.get("torch")
    before = torch and torch.get_num_threads()
    limit = None if alone or not torch else partial(torch.set_num_threads, 1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, SWITCH_S))
    try:
        with ThreadPoolExecutor(count, initializer=limit) as pool:
            yield pool
    finally:
        sys.setswitchinterval(interval)
        if torch:
            torch.set_num_threads(before)


def ahead(
    pool: Executor, function: Callable[[Job], Result], jobs: Iterable[Job], *, depth: int
) -> Iterator[Result]:
    """`function(job)` for each job, in order, made ahead. `depth` more are in the making while one is
    used.
    """
    running: deque = deque()
    for job in jobs:
        running.append(pool.submit(function, job))
        if len(running) > depth:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
