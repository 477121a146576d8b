"""Run jobs on a Ray cluster from a driver process that can be killed.

Ray's client is native code: it may wait for ever where no signal reaches it, and it ends its own process
when the cluster is gone. So it lives in a child, the driver. Everything that the driver is asked has a
time limit; when it does not answer it is killed, with all that it has started.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tqdm import tqdm

from scslib.jobs.child import Child, Limits, Lost
from scslib.jobs.engines import EngineError

AHEAD = 2  # jobs that Ray is given for each of its cores
LOOK_S = 10.0  # the driver says at least that often that it is still waiting for results
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be, and no warning of it
    # A busy machine may take long to start Ray's processes. A worker that takes longer than Ray waits,
    # which is 60 s, is killed, and then a driver that waits for the first workers waits for ever
    # (ray-project/ray issue 40131).
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_prestart_worker_first_driver": "0",
}


class Driver:
    """The process in which Ray's client lives; it may take `connect_s` seconds for every answer."""

    def __init__(self, address: str, connect_s: float):
        self.address, self.connect_s = address, connect_s
        self._child = Child(Limits(connect_s, math.inf))

    def ask(self, function, job):
        """`function(job)` there. Raises `EngineError` when it takes longer or the process dies."""
        try:
            return self._child.call(function, job)
        except Lost as lost:
            slow = f"Ray did not answer for {self.connect_s:g} s"
            what = slow if lost.status == "timeout" else f"Ray's driver is gone, {lost}"
            raise EngineError(f"{_named(self.address)}: {what}; {_advice(self.address)}") from None

    def close(self) -> None:
        """End it, and all that runs for it."""
        self._child.close()


def on_ray(do, jobs, *, address: str, connect_s: float, limits: Limits, title: str, unit: str):
    """A task for each job, done again elsewhere when its machine is lost; see `Engine.map`.

    connect_s: how long the driver may take to connect, and for every answer after that. Raises
    `EngineError` when it takes longer or dies.
    """
    driver = Driver(address, connect_s)
    try:
        with tqdm(total=len(jobs), desc=title, unit=unit, disable=None, leave=False) as progress:
            driver.ask(connect, (address, dict(os.environ)))
            driver.ask(_begin, (address, do, list(jobs), limits))
            while (answers := driver.ask(_next, None)) is not None:
                for number, result, error in answers:
                    if error is not None:
                        raise error
                    yield number, result
                    progress.update()
    finally:
        driver.close()


def _named(address: str) -> str:
    return f"address ({address!r})" if address else "Ray on this machine"


def _advice(address: str) -> str:
    """Where to look when Ray does not do what it should."""
    base = "/tmp" if sys.platform == "darwin" else tempfile.gettempdir()
    logs = Path(os.environ.get("RAY_TMPDIR") or base) / "ray" / "session_latest" / "logs"
    status = f" and at `ray status --address {address}`" if address else ""
    return f"look at its logs in {logs}{status}"


# In the driver: what the process that watches it asks of it, in this order.

_answers: Iterator[list[tuple]] = iter(())


def connect(job: tuple[str, dict[str, str]]) -> None:
    """Connect to the cluster, or start one on this machine."""
    address, environment = job
    os.environ.update(environment)  # that of the server which this was forked from may be older
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise EngineError("engine 'ray' is not installed: pip install 'scslib[cluster]'") from error
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:  # of many types; a node that does not start in time is an `Exception`
        what = "no Ray cluster answers there" if address else "it did not start"
        reason = _line(error)
        raise EngineError(f"{_named(address)}: {what} ({reason}); {_advice(address)}") from None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray's own handler does not end what waits in it


def _begin(job: tuple) -> None:
    """Hand out the first jobs."""
    global _answers
    _answers = _run(*job)


def _next(_) -> list[tuple] | None:
    """[(number of the job, result, error)] that have become ready; None when there are no more."""
    return next(_answers, None)


def _run(address: str, do, jobs: list, limits: Limits) -> Iterator[list[tuple]]:
    """The answers to `_next`.

    A task has a core, to read and decode, and where the cluster has accelerators its share of one, to
    score: what was decoded never travels, and while some tasks decode others score.
    """
    import ray

    try:
        cpus = cores_of(ray)
        task = ray.remote(num_cpus=1, num_gpus=share_of_accelerator(ray), max_retries=-1)(task_of)
        todo = iter(enumerate(jobs))
        running: dict[ray.ObjectRef, int] = {}
        while True:
            while len(running) < AHEAD * cpus and (job := next(todo, None)) is not None:
                running[task.remote(do, job[1], limits)] = job[0]
            if not running:
                return
            ready, _ = ray.wait(list(running), timeout=LOOK_S)
            if not ready and not own_node_lives(ray):  # then Ray waits for ever
                raise EngineError(f"{_named(address)}: the node here has died; {_advice(address)}")
            yield [(running.pop(reference), *result_of(ray, reference)) for reference in ready]
    except ray.exceptions.RayError as error:
        raise EngineError(f"{_named(address)}: {_line(error)}; {_advice(address)}") from error


def cores_of(ray) -> int:
    """How many cores the cluster has."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def share_of_accelerator(ray) -> float:
    """What each task gets of the cluster's accelerators, 0..1."""
    return min(1.0, ray.cluster_resources().get("GPU", 0) / cores_of(ray))


def own_node_lives(ray) -> bool:
    """Tell whether the node that the driver is attached to is there. It gets all others through it."""
    own = ray.get_runtime_context().get_node_id()
    return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == own)


def result_of(ray, reference) -> tuple:
    """The outcome of a job: (result, None), or (None, what it raised)."""
    try:
        return ray.get(reference), None
    except ray.exceptions.RayTaskError as error:
        return None, error.cause


def _line(error: Exception) -> str:
    """An error in one line."""
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0]}" if first else type(error).__name__


# On the machines of the cluster: a process there has one child for all its tasks.


def task_of(do, job, limits: Limits):
    """Do one job of a task in this process's watched child."""
    return do(_child(limits), job)


@cache
def _child(limits: Limits) -> Child:
    return Child(limits)
