"""Doing the same thing to many videos, in spawned processes (forked pools have lost kernels)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_processes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    title: str,
    unit: str = "video",
) -> Iterator[Result]:
    """Give `function(job)` for each job, in order, with a progress bar on a terminal.

    workers = 0 takes as many as there are cores; 1 runs in this process. `function` must be
    importable. An error of any job is raised here and ends the others.
    """
    workers = min(workers or cores(), len(jobs))
    with tqdm(total=len(jobs), desc=title, unit=unit, disable=None, leave=False) as progress:
        if workers <= 1:
            for job in jobs:
                yield function(job)
                progress.update()
            return
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
            try:
                for result in pool.map(function, jobs):
                    yield result
                    progress.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@contextmanager
def workers(count: int, *, alone: bool) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads; unless they are `alone`, each computes on one core."""
    import torch

    before = torch.get_num_threads()
    begin = {} if alone else {"initializer": torch.set_num_threads, "initargs": (1,)}
    try:
        with ThreadPoolExecutor(count, **begin) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def ahead(
    pool: Executor, function: Callable[[Job], Result], jobs: Iterable[Job], *, depth: int
) -> Iterator[Result]:
    """`function(job)` for each job, in order, with `depth` more in the making while one is used."""
    running: deque = deque()
    for job in jobs:
        running.append(pool.submit(function, job))
        if len(running) > depth:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _one_thread() -> None:
    """The processes share the cores already: the linear algebra libraries must not add threads."""
    import torch

    torch.set_num_threads(1)
    threadpool_limits(1)
