"""The tests of Ray, apart from all others and ended from outside: `make test-ray`, `make soak-ray`.

Ray may wait for ever in native code, where pytest's own time limits do not reach, and what is killed may
leave processes behind. So each run of the tests has a limit here; whatever it has started is found by a
word in its environment, and ended with it. Exit status 0: all runs have passed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

TESTS = Path(__file__).resolve().parents[1] / "jobs" / "test_ray.py"
WORD = "SCS_RAY_RUN"  # in the environment of all that a run has started
PASSED, BROKEN_OFF = 0, "ended by its limit"


def run_tests(limit_s: float, options: list[str], output=None) -> int | str:
    """One run of the tests in processes of its own: pytest's exit status, or `BROKEN_OFF`."""
    word = uuid.uuid4().hex
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-m", "ray", str(TESTS), *options]
    process = subprocess.Popen(
        command,
        env=os.environ | {WORD: word},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,  # Ctrl-C is for this process, which ends the others
    )
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return BROKEN_OFF
    finally:
        end_all(word)
        process.wait()


def end_all(word: str) -> None:
    """Kill every process with the word in its environment."""
    while found := [process for process in psutil.process_iter() if has(process, word)]:
        for process in found:
            with contextlib.suppress(psutil.Error):  # it has ended since
                process.kill()
        psutil.wait_procs(found, timeout=5)


def has(process: psutil.Process, word: str) -> bool:
    try:
        return process.environ().get(WORD) == word and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # another user's, or it has ended since
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests of Ray.")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside them")
    parser.add_argument("--limit", type=float, default=1500, help="seconds for one run")
    parser.add_argument("--logs", type=Path, help="folder for the output of runs that do not pass")
    arguments, options = parser.parse_known_args()
    if arguments.logs:
        arguments.logs.mkdir(parents=True, exist_ok=True)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    results = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by TERM"))  # with the others
    try:
        for number in range(1, arguments.times + 1):
            results.append(one(number, arguments, options))
    finally:
        for process in busy:
            process.kill()
    passed = results.count(PASSED)
    print(f"{passed} of {len(results)} runs passed, {results.count(BROKEN_OFF)} {BROKEN_OFF}")
    return 0 if passed == len(results) else 1


def one(number: int, arguments: argparse.Namespace, options: list[str]) -> int | str:
    """One of the runs, and a line about it."""
    begin = time.monotonic()
    if arguments.logs:
        log = arguments.logs / f"run{number:03d}.log"
        with log.open("w") as file:
            result = run_tests(arguments.limit, options, file)
        if result == PASSED:
            log.unlink()
    else:
        result = run_tests(arguments.limit, options)
    seconds, load = time.monotonic() - begin, os.getloadavg()[0]
    said = {PASSED: "passed", BROKEN_OFF: f"{BROKEN_OFF} of {arguments.limit:g} s"}
    where = f", see {log}" if arguments.logs and result != PASSED else ""
    what = said.get(result, f"failed, exit status {result}")
    print(f"run {number}: {what}, {seconds:.0f} s, load {load:.1f}{where}", flush=True)
    if result == BROKEN_OFF:
        print("Ray did not come back; its logs lie in ray/session_latest/logs of the temporary folder")
    return result


if __name__ == "__main__":
    sys.exit(main())
