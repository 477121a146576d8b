"""Hand jobs to a Ray cluster one at a time, and ask whether they are done.

As `ray_driver`, which does a list of jobs at once: Ray's client lives in a driver process that can be
killed, and each job runs in a watched child on some machine of the cluster.
"""

from __future__ import annotations

import math
import os
from typing import Any

from scslib.jobs.child import Child, Limits, Lost
from scslib.jobs.engines import Engine, EngineError
from scslib.jobs.ray_driver import (
    advice,
    connect,
    cores_of,
    named,
    own_node_lives,
    result_of,
    share_of_accelerator,
    task_of,
)


class RayTasks:
    """A connection to an engine's cluster. Raises `EngineError` where none answers, now or later."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self._driver = Child(Limits(engine.connect_s, math.inf))
        self._ask(connect, (engine.address, dict(os.environ)))
        self.cores = int(self._ask(_cores, None))

    def submit(self, key: str, do, job) -> None:
        """Let `do(child, job)` be called on a machine of the cluster, on one core."""
        self._ask(_submit, (key, do, job, Limits(math.inf, math.inf)))

    def ended(self, key: str) -> tuple[Any, Exception | None] | None:
        """None as long as the job runs; then (its result, None), or (None, what it raised)."""
        return self._ask(_ended, key)

    def cancel(self, key: str) -> None:
        """End a job that runs."""
        self._ask(_cancel, key)

    def close(self) -> None:
        """End the connection, and all that runs for it."""
        self._driver.close()

    def _ask(self, function, job):
        try:
            return self._driver.call(function, job)
        except Lost as lost:
            address = self.engine.address
            slow = f"Ray did not answer for {self.engine.connect_s:g} s"
            what = slow if lost.status == "timeout" else f"Ray's driver is gone, {lost}"
            raise EngineError(f"{named(address)}: {what}; {advice(address)}") from None


# In the driver

_running: dict[str, Any] = {}


def _cores(_) -> int:
    import ray

    return cores_of(ray)


def _submit(job: tuple) -> None:
    import ray

    key, do, what, limits = job
    task = ray.remote(num_cpus=1, num_gpus=share_of_accelerator(ray), max_retries=-1)(task_of)
    _running[key] = task.remote(do, what, limits)


def _ended(key: str) -> tuple[Any, Exception | None] | None:
    import ray

    ready, _ = ray.wait([_running[key]], timeout=0)
    if ready:
        return result_of(ray, _running.pop(key))
    if not own_node_lives(ray):
        raise EngineError("the node here has died")
    return None


def _cancel(key: str) -> None:
    import ray

    if key in _running:
        ray.cancel(_running.pop(key), force=True)
