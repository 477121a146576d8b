"""Run a function in a watched child process; a crash costs one job.

Video files come from strangers, and what decodes them is native code. So nothing but a child reads
them: it is watched from outside, and killed when it takes too long or too much.

    child.call(read, path)      the result, or what `read` raised, or `Lost`: the child is gone
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

import psutil
from threadpoolctl import threadpool_limits

from scslib.jobs.threads import Job, Result

WATCH_S = 0.2  # between two looks at a child
TRIES = 3  # a child may also die of what has nothing to do with its video


@dataclass(frozen=True)
class Limits:
    """What one video may take: wall-clock seconds, and gigabytes of memory (of the whole process)."""

    seconds: float = 3600.0
    memory_gb: float = 8.0

    def __post_init__(self):
        for name in ("seconds", "memory_gb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")


class Lost(ValueError):
    """A child that is gone. status: `failed` or `timeout`; at: what it had said it was `busy_with`.

    again: whether another try may go better, as after a death whose cause is not known.
    """

    def __init__(self, reason: str, *, status: str = "failed", at: Any = None, again: bool = False):
        super().__init__(reason)
        self.reason, self.status, self.at, self.again = reason, status, at, again


class Child:
    """A process that does one thing after another, on one core.

    It is made anew when it has died. It ends with the process that made it, however that one ends. For
    use by one thread.
    """

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        self._live: _Live | None = None
        self._stopped = self._networks = False

    def call(
        self,
        function: Callable[[Job], Result],
        job: Job,
        *,
        preload: str = "",
        networks: bool = False,
    ) -> Result:
        """`function(job)`, which must be importable, or its error; `Lost` when the child dies of it.

        The limits hold from the beginning, and anew from each `busy_with`. preload: the module that
        takes long to import, by default the function's. networks: whether that needs PyTorch; no other
        process has it in memory.
        """
        if self._live is not None and self._networks != networks:
            self.close()
        if self._live is None:
            self._networks = networks
            self._live = self._start(preload, function.__module__)
        try:
            if self._stopped:  # looked at last, for `stop` kills only what has been started
                raise Lost("was stopped")
            return self._wait(self._live, function, job)
        except (Lost, KeyboardInterrupt):
            self.close()
            raise

    def stop(self) -> None:
        """Let nothing more be done, and make what is being done end; from any thread."""
        self._stopped, live = True, self._live
        if live is not None:
            live.process.kill()

    def close(self) -> None:
        """Kill the process, if there is one, and those that it has started."""
        if self._live is not None:
            own, line = self._live
            for process in (own, *_started_by(own)):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            own.join()
            line.close()
            self._live = None

    def _start(self, *modules: str) -> _Live:
        # a server that has imported `modules` and runs no threads is forked: 20 ms instead of seconds
        context = get_context("forkserver") if sys.platform == "linux" else get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _forked_from(_servers[self._networks], [m for m in modules if m]):
            with contextlib.nullcontext() if "__main__" in modules else _without_main():
                process.start()
        theirs.close()
        return _Live(process, ours)

    def _wait(self, live: _Live, function: Callable[[Job], Result], job: Job) -> Result:
        begin, at, limits = time.monotonic(), None, self.limits
        try:
            live.line.send((function, job))
            while True:
                if live.line.poll(WATCH_S):
                    kind, value = live.line.recv()
                    if kind != "at":
                        break
                    begin, at = time.monotonic(), value
                elif live.memory() > 1e9 * limits.memory_gb:
                    raise Lost(f"took more than {limits.memory_gb:g} GB of memory", at=at)
                elif time.monotonic() - begin > limits.seconds:
                    raise Lost(f"took longer than {limits.seconds:g} s", status="timeout", at=at)
        except (EOFError, OSError):
            reason, again = f"its process died ({live.death()})", not self._stopped
            raise Lost(reason, at=at, again=again) from None
        if kind == "error":
            raise value
        return value


class _Live(NamedTuple):
    """The process of a child, and the line to it."""

    process: BaseProcess
    line: Connection

    def memory(self) -> int:
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:  # it has died since
            return 0

    def death(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"


_servers = {False: forkserver.ForkServer(), True: forkserver.ForkServer()}  # of children with networks?
_starting = Lock()


@contextmanager
def _forked_from(server: forkserver.ForkServer, modules: Sequence[str]) -> Iterator[None]:
    """Within it, processes are forked from `server`, as `multiprocessing` does from its only one.

    A server imports the `modules` that it is first asked for; a child imports what else it needs.
    """
    with _starting:
        only = forkserver.connect_to_new_process
        forkserver.connect_to_new_process = server.connect_to_new_process
        server.set_forkserver_preload(list(modules))
        try:
            yield
        finally:
            forkserver.connect_to_new_process = only


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Within it, a child does not run the user's script again, which may have no guard against that."""
    own = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: own[name] for name in ("__file__", "__spec__") if name in own}
    own.pop("__file__", None)
    own["__spec__"] = None
    try:
        yield
    finally:
        own.update(hidden)


def _started_by(process: BaseProcess) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:  # it has died since
        return []


_line: Connection | None = None  # in a child: to the process that watches it


def busy_with(what: Any) -> None:
    """Say what is begun now: the clock starts anew, and it is `Lost.at` if this process dies of it."""
    if _line is not None:
        _line.send(("at", what))


def _serve(line: Connection) -> None:
    """The life of a child: jobs come in, results go out, and it ends when nobody listens any more."""
    global _line
    _line = line
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that watches
    jobs: SimpleQueue = SimpleQueue()
    Thread(target=_listen, args=(line, jobs), daemon=True).start()
    while True:
        function, job = jobs.get()
        _one_thread()
        try:
            answer = "result", function(job)
        except BaseException as error:
            error.add_note(traceback.format_exc())
            answer = "error", error
        _send(line, answer)


def _listen(line: Connection, jobs: SimpleQueue) -> None:
    try:
        while True:
            jobs.put(line.recv())
    except (EOFError, OSError):
        os._exit(0)


def _send(line: Connection, answer: tuple[str, Any]) -> None:
    try:
        line.send(answer)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # what cannot be pickled
        line.send(("error", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]} ({error})")))


def _one_thread() -> None:
    """Each child has one core: the same bits whatever the number of them, and no threads in excess."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    threadpool_limits(1)
