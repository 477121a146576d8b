"""Hand jobs to a Ray cluster one at a time. Then ask whether they are done.

As `ray_driver`, which does a list of jobs at once: Ray's client lives in a driver process that can be
killed, and each job runs in a watched child on some machine of the cluster.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any

from scslib.jobs.child import Limits
from scslib.jobs.engines import Engine, EngineError
from scslib.jobs.ray_driver import (
    LOOK_S,
    Driver,
    connect,
    cores_of,
    own_node_lives,
    result_of,
    share_of_accelerator,
    task_of,
)


class RayTasks:
    """A connection to an engine's cluster. Raises `EngineError` where none answers, now or later."""

    def __init__(self, engine: Engine):
        self._driver = Driver(engine.address, engine.connect_s)
        self._driver.ask(connect, (engine.address, dict(os.environ)))
        self.cores = int(self._driver.ask(_cores, None))

    def submit(self, key: str, do, job) -> None:
        """Let `do(child, job)` be called on a machine of the cluster, on one core."""
        self._driver.ask(_submit, (key, do, job, Limits(math.inf, math.inf)))

    def ended(self, key: str) -> tuple[Any, Exception | None] | None:
        """The outcome of a job: None as long as it runs; then (its result, None), or (None, what it
        raised).
        """
        return self._driver.ask(_ended, key)

    def cancel(self, key: str) -> None:
        """End a job that runs."""
        self._driver.ask(_cancel, key)

    def close(self) -> None:
        """End the connection, and all that runs for it."""
        self._driver.close()


# In the driver

_running: dict[str, Any] = {}
_looked = 0.0  # when it was last asked whether the own node lives, which is asked of the cluster's head


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

    global _looked
    ready, _ = ray.wait([_running[key]], timeout=0)
    if ready:
        return result_of(ray, _running.pop(key))
    if time.monotonic() - _looked > LOOK_S:
        _looked = time.monotonic()
        if not own_node_lives(ray):
            raise EngineError("the node here has died")
    return None


def _cancel(key: str) -> None:
    import ray

    if key in _running:
        ray.cancel(_running.pop(key), force=True)
