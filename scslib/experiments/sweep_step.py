"""Run one step of a sweep in a process of its own. It ends with the sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Protocol

from scslib.experiments.notebooks import RunError, execute
from scslib.experiments.sweep_plan import Step
from scslib.jobs.run_folder import root


class StepProcess(Protocol):
    """A step that runs: a process of this machine, or a task of a cluster (`sweep_ray`)."""

    @property
    def stdin(self) -> IO | None: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def kill(self) -> None: ...


def start_step(step: Step, folder: Path, parameters: dict, lock: int) -> subprocess.Popen:
    """Begin the notebook in a process of its own, which ends with this one; see `_child`.

    It holds the `lock`, too: whoever kills this process finds the step locked until it has ended.
    """
    (folder / "notebooks").mkdir(exist_ok=True)
    arguments = [str(step.notebook), str(folder / "notebooks"), json.dumps(parameters)]
    with (folder / "notebooks" / "step.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "scslib.experiments.sweep_step", *arguments],
            env=os.environ | {"SCS_ROOT": str(root()), "OMP_NUM_THREADS": "1"},
            pass_fds=(lock,),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt goes to the sweep, which ends its steps
        )


def _child(notebook: str, folder: str, parameters: str) -> None:
    def end_with_parent():
        os.read(0, 1)  # until the sweep is gone, however it ended
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        execute(Path(notebook), Path(folder), json.loads(parameters))
    except RunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _child(*sys.argv[1:])
