"""Map a function over jobs, each in one of several watched child processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from tqdm import tqdm

from scslib.jobs.child import TRIES, Child, Limits, Lost
from scslib.jobs.threads import Job, Result, cores


def watched(
    do: Callable[[Child, Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    limits: Limits,
    title: str,
    unit: str,
) -> Iterator[tuple[int, Result]]:
    """The results of jobs as they become ready, with the jobs' numbers.

    Each is (number of the job, `do(child, job)`). Each of `workers` has a child. workers = 0: as many
    as there are cores. A progress bar shows on a terminal. What `do` raises is raised here, and ends
    the others.
    """
    count = max(1, min(workers or cores(), len(jobs)))
    children = [Child(limits) for _ in range(count)]
    idle: SimpleQueue[Child] = SimpleQueue()
    for child in children:
        idle.put(child)

    def one(job: Job) -> Result:
        child = idle.get()
        try:
            return do(child, job)
        finally:
            idle.put(child)

    progress = tqdm(total=len(jobs), desc=title, unit=unit, disable=None, leave=False)
    try:
        with progress, ThreadPoolExecutor(count) as pool:
            try:
                futures = {pool.submit(one, job): number for number, job in enumerate(jobs)}
                for future in as_completed(futures):
                    yield futures[future], future.result()
                    progress.update()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                for child in children:
                    child.stop()
    finally:
        for child in children:
            child.close()


def map_processes(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    title: str,
    unit: str = "video",
    limits: Limits | None = None,
    lost: Callable[[Job, Lost], Result] | None = None,
    networks: bool = False,
) -> list[Result]:
    """`function(job)` of each job, in order, each in a child; see `watched`.

    `lost` says what stands for the result of a job that a child died of `TRIES` times, or that took too
    long or too much; without it that is an error. networks: whether `function` needs PyTorch.
    """

    def do(child: Child, job: Job) -> Result:
        tries = 0
        while True:
            tries += 1
            try:
                return child.call(function, job, networks=networks)
            except Lost as error:
                if error.again and tries < TRIES:
                    continue
                if lost is None:
                    raise Lost(f"{title}: {error}") from error
                return lost(job, error)

    jobs = list(jobs)
    results = dict(watched(do, jobs, workers=workers, limits=limits or Limits(), title=title, unit=unit))
    return [results[number] for number in range(len(jobs))]
