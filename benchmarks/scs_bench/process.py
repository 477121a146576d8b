"""One measurement, one process: running it, and what it says of itself.

Light on purpose: the processes that are measured import this module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_child(module: str, *arguments, **environment: str) -> dict:
    """Run `python -m module arguments...`, libraries single-threaded, and give what it reports.

    That is the last line it prints, JSON, with `process_wall_s` and `process_cpu_s` (user + system),
    the seconds of the whole process from its start, imports and all. One that ends badly has reported
    {"problem": why}.
    """
    import resource

    command = command_of(module, *arguments)
    environment = plain_environment() | environment
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"problem": f"ended with {done.returncode}: {last}"}
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    report = json.loads(done.stdout.strip().splitlines()[-1])
    return report | {"process_wall_s": wall, "process_cpu_s": cpu}


def command_of(module: str, *arguments) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def plain_environment() -> dict[str, str]:
    """This process's, with single-threaded libraries and imports that are compiled once."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    paths = [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # where these modules are found
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):  # else every start compiles every import
        environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "scs-bench-bytecode")
    return environment


def memory_mb(process: psutil.Process) -> tuple[float, float]:
    """What a process holds now, and the largest of those below it: MB (1e6 bytes)."""
    held = []
    for one in (process, *process.children(recursive=True)):
        try:
            held.append(one.memory_info().rss / 1e6)
        except psutil.Error:
            held.append(0.0)
    return held[0], max(held[1:], default=0.0)


@contextmanager
def watched_below(every_s: float = 0.2) -> Iterator[dict]:
    """A dict that has, after the block, `below_mb`: the most that a process below this one has held."""
    report, done = {"below_mb": 0.0}, Event()

    def look() -> None:
        while not done.wait(every_s):
            report["below_mb"] = max(report["below_mb"], memory_mb(psutil.Process())[1])

    thread = Thread(target=look, daemon=True)
    thread.start()
    yield report
    done.set()
    thread.join()


def use_one_core() -> None:
    """Keep this process on the last core that it may use, where the system can do so (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def stopwatch() -> Iterator[dict]:
    """A dict that has, after the block, its `wall_s` and `cpu_s` (user + system, all threads)."""
    report: dict = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield report
    report |= {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def peak_mb() -> float:
    """The most memory that this process has held: MB (1e6 bytes).

    Of this process Linux is asked for VmHWM: `ru_maxrss` also counts what the process that started it
    held at that moment.
    """
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        own = int(line.split()[1]) * 1024
    return own / 1e6
