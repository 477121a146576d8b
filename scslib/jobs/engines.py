"""Execution backends for long steps: local processes or Ray.

An engine is given what is to be done with each job and a child to do it in (`child.Child`), and
gives the results as they become ready. It is chosen outside of the notebooks, by `scs run --engine`,
because no result depends on it: the environment variable SCS_ENGINE carries it to the kernels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from scslib.jobs.child import Child, Limits
from scslib.jobs.pool import watched
from scslib.jobs.threads import Job, Result

ENGINES = ("local", "ray")


class EngineError(ValueError):
    """An engine that cannot be used here; one line that says what is missing."""


@dataclass(frozen=True)
class Engine:
    """The engine of long steps.

    name: `local` or `ray`. address: of a Ray cluster; empty: one on this machine alone.
    limits: what a video may take. retry: do shards again in which a video failed, as when the limits
    were too narrow or a disk was away. connect_s: seconds that Ray may take to start or to answer.
    """

    name: str = "local"
    address: str = ""
    limits: Limits = field(default_factory=Limits)
    retry: bool = False
    connect_s: float = 180.0

    def __post_init__(self):
        if self.name not in ENGINES:
            raise EngineError(f"engine ({self.name!r}) must be one of {ENGINES}")
        if self.address and self.name != "ray":
            raise EngineError(f"address ({self.address!r}) is for the engine ray, not {self.name}")
        if not self.connect_s > 0:
            raise EngineError(f"connect_s ({self.connect_s}) must be > 0")

    @classmethod
    def current(cls) -> Engine:
        """What SCS_ENGINE says, or the processes of this machine."""
        values = json.loads(os.environ.get("SCS_ENGINE") or "{}")
        return cls(**values | {"limits": Limits(**values.get("limits", {}))})

    def use(self) -> None:
        """Make this engine the `current` one: here, and in the processes that are started from here."""
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
        """The results of jobs as they become ready: (number of the job, `do(child, job)`); what `do`
        raises is raised.

        workers: processes of this machine, 0: one for each core. Ray takes all that the cluster has.
        """
        if not jobs:
            return iter(())
        if self.name == "ray":
            from scslib.jobs.ray_driver import on_ray

            return on_ray(
                do,
                jobs,
                address=self.address,
                connect_s=self.connect_s,
                limits=self.limits,
                title=title,
                unit=unit,
            )
        return watched(do, jobs, workers=workers, limits=self.limits, title=title, unit=unit)
