"""Where long steps are done: in processes of this machine, or on a Ray cluster of many.

An engine is given what is to be done with each job and a child to do it in (`isolation.Child`), and
gives the results as they become ready. It is chosen outside of the notebooks, by `scs run --engine`,
because no result depends on it: the environment variable SCS_ENGINE carries it to the kernels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TypeVar

from tqdm import tqdm

from scslib.isolation import Child, Limits, watched

Job = TypeVar("Job")
Result = TypeVar("Result")

NAMES = ("local", "ray")
AHEAD = 2  # jobs that Ray is given for each of its cores
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_agent_register_timeout_ms": "120000",  # a busy machine may take long to start
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be, and no warning of it
}


class EngineError(ValueError):
    """An engine that cannot be used here; one line that says what is missing."""


@dataclass(frozen=True)
class Engine:
    """name: `local` or `ray`. address: of a Ray cluster; empty: one on this machine alone.

    limits: what a video may take. retry: do shards again in which a video failed, as when the limits
    were too narrow or a disk was away.
    """

    name: str = "local"
    address: str = ""
    limits: Limits = field(default_factory=Limits)
    retry: bool = False

    def __post_init__(self):
        if self.name not in NAMES:
            raise EngineError(f"engine ({self.name!r}) must be one of {NAMES}")
        if self.address and self.name != "ray":
            raise EngineError(f"address ({self.address!r}) is for the engine ray, not {self.name}")

    @classmethod
    def current(cls) -> Engine:
        """What SCS_ENGINE says, or the processes of this machine."""
        values = json.loads(os.environ.get("SCS_ENGINE") or "{}")
        return cls(**values | {"limits": Limits(**values.get("limits", {}))})

    def use(self) -> None:
        """Make it the `current` one, here and in the processes that are started from here."""
        os.environ["SCS_ENGINE"] = json.dumps(asdict(self))

    def map(
        self,
        do: Callable[[Child, Job], Result],
        jobs: Sequence[Job],
        *,
        workers: int,
        title: str,
        unit: str,
    ) -> Iterator[tuple[int, Result]]:
        """(number of the job, `do(child, job)`) as they become ready; what `do` raises is raised.

        workers: processes of this machine, 0: one for each core. Ray takes all that the cluster has.
        """
        if not jobs:
            return iter(())
        options = {"limits": self.limits, "title": title, "unit": unit}
        if self.name == "ray":
            return _on_ray(do, jobs, address=self.address, **options)
        return watched(do, jobs, workers=workers, **options)


def _on_ray(do, jobs, *, address: str, limits: Limits, title: str, unit: str):
    """A task for each job, done again elsewhere when its machine is lost.

    A task has a core, to read and decode, and where the cluster has accelerators its share of one, to
    score: what was decoded never travels, and while some tasks decode others score.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise EngineError("engine 'ray' is not installed: pip install 'scslib[cluster]'") from error
    if not ray.is_initialized():
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
        try:
            ray.init(address=address or "local", **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EngineError(f"address ({address!r}): no Ray cluster answers there") from error
    have = ray.cluster_resources()
    cpus = max(1, int(have.get("CPU", 1)))
    task = ray.remote(num_cpus=1, num_gpus=min(1, have.get("GPU", 0) / cpus), max_retries=-1)(_task)
    todo, running = iter(enumerate(jobs)), {}
    with tqdm(total=len(jobs), desc=title, unit=unit, disable=None, leave=False) as progress:
        try:
            while True:
                while len(running) < AHEAD * cpus and (job := next(todo, None)) is not None:
                    running[task.remote(do, job[1], limits)] = job[0]
                if not running:
                    return
                for ready in ray.wait(list(running))[0]:
                    yield running.pop(ready), _result(ray, ready)
                    progress.update()
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _result(ray, reference):
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def _task(do, job, limits: Limits):
    """On a machine of the cluster: a process there has one child for all its tasks."""
    return do(_child(limits), job)


@cache
def _child(limits: Limits) -> Child:
    return Child(limits)
