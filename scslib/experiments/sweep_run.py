"""Run a sweep's steps in child processes, several at a time, under locks."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click

from scslib.experiments.notebooks import RunError
from scslib.experiments.parameters import known_parameters
from scslib.experiments.results import load_runs, save_results
from scslib.experiments.sweep_folders import branch, linked
from scslib.experiments.sweep_plan import Plan, Step, time_left
from scslib.experiments.sweep_step import StepProcess, start_step
from scslib.jobs.files import replacing
from scslib.jobs.run_folder import Run

POLL_S = 0.2


def run_sweep(
    plan: Plan,
    *,
    at_once: int,
    command: str = "scs sweep",
    start: Callable[[Step, Path, dict, int], StepProcess] | None = None,
    say: Callable[[str], None] = click.echo,
) -> dict:
    """Do what is not done yet, `at_once` steps at a time; returns the content of sweep.json.

    Each step is a process with one thread, so that results do not depend on how many there are. A
    step that breaks ends the runs that need it and no other. `start` begins a step (default:
    `start_step`). Several sweeps may work in one folder: each step is done by one of them.
    """
    if at_once < 1:
        raise RunError(f"at_once ({at_once}) must be > 0")
    work = _Work(plan, at_once, command, start or start_step, say)
    try:
        work.go()
    finally:
        work.stop()
        about = work.save()
    done = [plan.folder / "runs" / run["name"] for run in about["runs"] if run["status"] == "done"]
    if any((run / "results" / "methods.csv").is_file() for run in done):  # notebook 06 was among them
        save_results(load_runs(plan.folder), plan.folder)
    return about


@dataclass
class _Job:
    process: StepProcess
    lock: int
    begun: float
    shared: dict[Path, tuple[int, int]]
    origins: list[Path]


@dataclass
class _Work:
    """The state of a sweep that is being done; `done`, `failed` and so on are keys of steps."""

    plan: Plan
    at_once: int
    command: str
    start: Callable
    say: Callable[[str], None]
    waiting: list[str] = field(default_factory=list)
    running: dict[str, _Job] = field(default_factory=dict)
    before: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)

    def __post_init__(self):
        for name in ("steps", "locks", "runs", "data"):
            (self.plan.folder / name).mkdir(parents=True, exist_ok=True)
        self.waiting = self.plan.needed()
        self.before = set(self.plan.steps) - set(self.waiting)

    def go(self) -> None:
        self.say(f"{self.plan.sweep.question}\n{self._counts()}")
        while self.waiting or self.running:
            for key in list(self.waiting):
                self._look_at(key)
            for key, job in list(self.running.items()):
                if job.process.poll() is not None:
                    self._end(key, job)
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End what still runs: after an interrupt."""
        for job in self.running.values():
            if job.process.stdin is not None:
                job.process.stdin.close()
        for job in self.running.values():
            try:
                job.process.wait(15)
            except subprocess.TimeoutExpired:
                job.process.kill()
            os.close(job.lock)

    def _look_at(self, key: str) -> None:
        parent = self.plan.steps[key].parent
        if parent in self.failed or parent in self.dropped:
            self.dropped.add(key)
            self.waiting.remove(key)
        elif len(self.running) < self.at_once and not (parent in self.waiting or parent in self.running):
            self._begin(key)

    def _begin(self, key: str) -> None:
        step, lock = self.plan.steps[key], self._lock(key)
        if lock is None:
            if key not in self.elsewhere:
                self.elsewhere.add(key)
                self.say(f"{step.label}: another sweep runs it")
            return
        self.waiting.remove(key)
        if self.plan.done(key):
            os.close(lock)
            self.before.add(key)
            self.say(f"{step.label}: done by another sweep")
            return
        folder, origins = self.plan.place(key), self._origins(key)
        if not folder.is_dir():  # a folder without step.json was left by a broken one: go on in it
            branch(origins[0] if origins else None, folder, origins[1:])
        run = Run(folder)
        run.save_environment(self._parameters(key))
        run.note(command=self.command)
        parameters = step.parameters | {"run": str(folder)}
        if "workers" in known_parameters(step.notebook):
            parameters["workers"] = max(1, self.at_once // max(1, self._busy()))
        self.say(f"{step.label} ...")
        process = self.start(step, folder, parameters, lock)
        self.running[key] = _Job(process, lock, time.monotonic(), linked(origins), origins)
        self.save()

    def _end(self, key: str, job: _Job) -> None:
        step, seconds = self.plan.steps[key], time.monotonic() - job.begun
        folder = self.plan.place(key)
        status = job.process.returncode or 0
        reason = _last_words(folder, status) if status else ""
        if changed := linked(job.origins).items() ^ job.shared.items():
            files = ", ".join(sorted({str(path) for path, _ in changed}))
            reason = f"{step.notebook.stem}: changed files that it shares with other steps: {files}"
        if reason:
            self.failed[key] = reason
        else:
            about = {
                "notebook": step.notebook.name,
                "parameters": step.parameters,
                "parent": step.parent,
                "seconds": round(seconds, 1),
            }
            _replace(folder / "step.json", json.dumps(about, indent=1))
            self.ran.add(key)
        del self.running[key]
        os.close(job.lock)
        left = time_left(self.plan, [*self.running, *self.waiting], self.at_once) / 60
        said = f"FAILED: {reason}" if reason else f"{seconds:.0f} s"
        count = f"[{len(self.before) + len(self.ran)}/{len(self.plan.steps)}]"
        self.say(f"{count} {step.label}: {said}; about {left:.0f} min left")
        self.save()

    def _lock(self, key: str) -> int | None:
        """An open file with the step's lock on it, or None where somebody else has it."""
        lock = os.open(self.plan.folder / "locks" / key, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _busy(self) -> int:
        """How many steps run, or could: those whose parent is done."""
        pending = {*self.waiting, *self.running}
        ready = sum(self.plan.steps[key].parent not in pending for key in self.waiting)
        return 1 + len(self.running) + ready

    def _origins(self, key: str) -> list[Path]:
        """Whose files the step links to: of the one before it, then of finished ones beside it."""
        step, steps = self.plan.steps[key], self.plan.steps.values()
        if step.parent is None:
            return []
        beside = [s.key for s in steps if s.parent == step.parent and self.plan.done(s.key)]
        return [self.plan.place(other) for other in (step.parent, *beside)]

    def _parameters(self, key: str) -> dict:
        step = self.plan.steps[key]
        return (self._parameters(step.parent) if step.parent else {}) | step.parameters

    def _counts(self) -> str:
        steps = f"{len(self.before)} done before, {self.plan.shared} shared, {len(self.ran)} run"
        lost = f", {len(self.failed)} failed, {len(self.dropped)} not run" if self.failed else ""
        return f"{len(self.plan.runs)} runs, {len(self.plan.steps)} steps: {steps}{lost}"

    def save(self) -> dict:
        """Write sweep.json and the links of the runs."""
        runs = []
        for name, keys in self.plan.runs.items():
            broken = next((key for key in keys if key in self.failed), None)
            status = "failed" if broken else "done" if self.plan.done(keys[-1]) else "not done"
            place = self.plan.folder / "runs" / name
            if status == "done":
                _link(place, keys[-1])
                place.with_name(f"{name}.failed").unlink(missing_ok=True)
            else:
                place.unlink(missing_ok=True)  # of an earlier state of the library
            if broken:
                _link(place.with_name(f"{name}.failed"), broken)
            run = {"name": name, "values": self.plan.sweep.runs[name], "status": status}
            runs.append(run | {"steps": keys, "reason": self.failed[broken] if broken else ""})
        sweep = self.plan.sweep
        about = {
            "question": sweep.question,
            "preset": sweep.preset,
            "notebooks": sweep.notebooks,
            "command": self.command,
            "steps": len(self.plan.steps),
            "shared": self.plan.shared,
            "done_before": len(self.before),
            "run": len(self.ran),
            "failed": len(self.failed),
            "not_run": len(self.dropped),
            "runs": runs,
        }
        _replace(self.plan.folder / "sweep.json", json.dumps(about, indent=1, ensure_ascii=False))
        return about


def _last_words(folder: Path, status: int) -> str:
    log = folder / "notebooks" / "step.log"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    words = [line for line in lines if line.strip()]
    return words[-1] if words and status > 0 else f"its process ended with status {status} (see {log})"


def _link(place: Path, key: str) -> None:
    with replacing(place, own=True) as part:
        part.symlink_to(Path("..") / "steps" / key)


def _replace(path: Path, text: str) -> None:
    with replacing(path, own=True) as part:
        part.write_text(text + "\n", encoding="utf-8")
