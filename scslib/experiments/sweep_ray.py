"""Do a sweep's steps as tasks of a Ray cluster. Its machines see the same folders."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from scslib.experiments.notebooks import RunError, execute
from scslib.experiments.sweep_plan import Step
from scslib.jobs.child import Child
from scslib.jobs.engines import Engine
from scslib.jobs.ray_tasks import RayTasks
from scslib.jobs.run_folder import root


class _Job(NamedTuple):
    notebook: str
    folder: str
    parameters: dict
    kit: str
    engine: Engine


class RayStep:
    """A step that runs somewhere, with the verbs of `subprocess.Popen` that a sweep needs."""

    stdin = None

    def __init__(self, tasks: RayTasks, key: str, log: Path):
        self.tasks, self.key, self.log = tasks, key, log
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The step's status: None as long as it runs, 0 if all is well."""
        if self.returncode is None and (ended := self.tasks.ended(self.key)) is not None:
            error = ended[1]
            if error is not None:
                self.log.write_text(str(error) + "\n", encoding="utf-8")
            self.returncode = 0 if error is None else 1
        return self.returncode

    def kill(self) -> None:
        self.tasks.cancel(self.key)
        self.returncode = -9

    def wait(self, timeout: float) -> int:
        """End it: whoever waits for a step of a sweep that is stopped wants no more of it."""
        self.kill()
        time.sleep(min(timeout, 1))
        return -9


class RaySteps:
    """A starter of steps on the cluster of an `engine`; cores: how many can run at once."""

    def __init__(self, engine: Engine):
        self.tasks = RayTasks(engine)
        self.cores = self.tasks.cores
        self.engine = Engine(limits=engine.limits, retry=engine.retry)  # inside a step: its machine's

    def start(self, step: Step, folder: Path, parameters: dict, lock: int) -> RayStep:
        """Begin the notebook on some machine; see `sweep_step.start_step`. The lock stays here."""
        notebooks = folder / "notebooks"
        notebooks.mkdir(exist_ok=True)
        job = _Job(str(step.notebook), str(notebooks), parameters, str(root()), self.engine)
        self.tasks.submit(step.key, _on_a_machine, job)
        return RayStep(self.tasks, step.key, notebooks / "step.log")

    def close(self) -> None:
        self.tasks.close()


def _on_a_machine(child: Child, job: _Job) -> None:
    child.call(_run_step, job)


def _run_step(job: _Job) -> None:
    os.environ.update({"SCS_ROOT": job.kit, "OMP_NUM_THREADS": "1"})
    job.engine.use()
    try:
        execute(Path(job.notebook), Path(job.folder), job.parameters)
    except RunError as error:
        raise RuntimeError(str(error)) from None
