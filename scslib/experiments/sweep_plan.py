"""`scs sweep`: plan many runs so that each shared step is done once.

A *step* is a notebook with its parameters after the steps before it; its checksum is that of
`notebooks.step_key`, which covers the library, sources and parameters of the whole chain. Runs that
agree up to a step share it: a sweep over K trains one classifier.

    FOLDER/steps/KEY/     the run folder as it is after the step KEY; step.json is written last
    FOLDER/locks/KEY      locked while somebody runs the step
    FOLDER/data/KEY/      the dataset that this step (notebook 01) made
    FOLDER/runs/NAME      link to the run's last step; NAME.failed: to the step that broke
    FOLDER/sweep.json  results.csv  results.parquet

A step begins in a copy of the folder of the step before it. Files of cache/ and checkpoints/ are hard
links, not copies: the library replaces such files and never writes into them. That is checked. What
finished steps beside it (other values, same step before) have in their caches is lent in the same way.
"""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from scslib.evaluation.contrasts import Pair, pair_of
from scslib.experiments.notebooks import RunError, chosen, notebooks, plan, preset, step_key, typed
from scslib.experiments.parameters import known_parameters, texts
from scslib.experiments.results import HOW, REPEATS
from scslib.jobs.run_folder import resolve, root

BLOCKS = ("data", *REPEATS)  # parameters in which the blocks of one setting differ
KEYS = ("question", "preset", "grid", "sets", "parameters", "seeds", "notebooks", "contrasts")
# Seconds of the notebooks 00, 01, ... on one core, as long as a sweep has measured nothing itself.
SECONDS = {
    "smoke": (15, 20, 10, 25, 10, 25, 35, 30, 60, 50, 10, 60, 30),
    "laptop": (15, 270, 15, 700, 100, 1400, 250, 40, 1000, 1000, 90, 300, 60),
}


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file says. runs: the values that differ, by the run's name; fixed: all others.

    contrasts: the pairs of methods whose difference is its answer, where the runs repeat each other.
    """

    name: str
    question: str
    preset: str
    notebooks: str
    runs: dict[str, dict]
    fixed: dict[str, object]
    contrasts: tuple[Pair, ...] = ()

    @property
    def varied(self) -> list[str]:
        """The names of the parameters in which the runs differ."""
        return list(dict.fromkeys(name for values in self.runs.values() for name in values))

    @property
    def blocks(self) -> dict[str, list[str]]:
        """The names of the runs by their setting, such as "k=5": runs of one setting are its blocks.

        They differ in their videos, f and samplers alone; of other runs that share these, a mean would
        count the same videos twice.
        """
        found: dict[str, list[str]] = {}
        for run, values in self.runs.items():
            setting = [f"{name}={value}" for name, value in values.items() if name not in BLOCKS]
            found.setdefault(", ".join(setting), []).append(run)
        return found


@dataclass(frozen=True)
class Step:
    """A notebook with all its parameters (but `run` and `workers`), after the step `parent`."""

    key: str
    notebook: Path
    parameters: dict
    parent: str | None
    label: str


@dataclass(frozen=True)
class Plan:
    """The steps and runs of a sweep.

    steps: by key, each after its parent; runs: the keys of a run's steps, by its name.
    """

    sweep: Sweep
    folder: Path
    steps: dict[str, Step]
    runs: dict[str, list[str]]

    @property
    def shared(self) -> int:
        """How many steps need not be done, because another run has the same."""
        return sum(map(len, self.runs.values())) - len(self.steps)

    def place(self, key: str) -> Path:
        return self.folder / "steps" / key

    def needed(self) -> list[str]:
        """The steps that are still to be done, in order."""
        found = set()
        for keys in self.runs.values():
            for key in reversed(keys):
                if self.done(key):
                    break
                found.add(key)
        return [key for key in self.steps if key in found]

    def done(self, key: str) -> bool:
        return (self.place(key) / "step.json").is_file()


def load_sweep(source: str, *, other_preset: str | None = None, given: dict | None = None) -> Sweep:
    """A sweep of notebooks/sweeps by its name, or any YAML file; `given` parameters hold for all runs.

    Raises `RunError` that names the key and its value.
    """
    path = root() / "notebooks" / "sweeps" / f"{source}.yaml"
    path = path if path.is_file() else Path(source)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in (root() / "notebooks" / "sweeps").glob("*.yaml")))
        raise RunError(f"sweep ({source}) must be one of {known or 'none here'}, or a YAML file")
    text = path.read_text(encoding="utf-8")
    try:
        about = texts(text)
    except yaml.YAMLError as error:
        raise RunError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(about, dict) or not set(about) <= set(KEYS):
        raise RunError(f"{path}: must hold names out of {', '.join(KEYS)}")
    for key in ("parameters", "grid"):
        if not isinstance(about.get(key) or {}, dict):
            raise RunError(f"{path}: {key} ({about[key]!r}) must hold names and values")
    first = text.splitlines()[0]
    question = about.get("question") or (first.lstrip("# ") if first.startswith("#") else "")
    if not question:
        raise RunError(
            f"{path}: the question is missing (key `question`, or a comment in its first line)"
        )
    numbers = about.get("notebooks", "01,03-06")
    if not isinstance(numbers, str):
        raise RunError(f"{path}: notebooks ({numbers!r}) must be text")
    name = other_preset or about.get("preset", "smoke")
    fixed = about.get("parameters") or {}
    fixed |= {"seeds": about["seeds"]} if "seeds" in about else {}
    fixed = typed(fixed | (given or {}))
    runs = _runs(path, about.get("grid") or {}, about.get("sets") or [{}])
    pairs = about.get("contrasts") or []
    if not isinstance(pairs, list) or not all(isinstance(text, str) for text in pairs):
        raise RunError(f"{path}: contrasts ({pairs!r}) must be a list such as ['visual - dense']")
    try:
        asked = tuple(map(pair_of, pairs))
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error
    sweep = Sweep(path.stem, question, name, numbers, runs, preset(name) | fixed, asked)
    for key in (*fixed, *sweep.varied):
        if key in HOW:
            raise RunError(f"parameter {key!r}: a sweep sets it itself")
        if key in fixed and key in sweep.varied:
            raise RunError(f"parameter {key!r} (value {fixed[key]!r}) is varied by the sweep")
    return sweep


def _runs(path: Path, grid: dict, sets: list) -> dict[str, dict]:
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise RunError(f"{path}: grid: {name} ({values!r}) must be a list of values")
    if not isinstance(sets, list) or not all(isinstance(values, dict) for values in sets):
        raise RunError(f"{path}: sets ({sets!r}) must be a list of names with values")
    runs = {}
    for values in sets:
        for point in itertools.product(*grid.values()):
            run = typed(values | dict(zip(grid, point, strict=True)))
            text = ",".join(f"{name}={value}" for name, value in run.items()) or "as-it-is"
            name = re.sub(r"[^\w=.,+-]+", "_", text)[:120]
            if name in runs:
                raise RunError(f"{path}: two runs are called {name}")
            runs[name] = run
    return runs


def plan_sweep(sweep: Sweep, folder: str | Path) -> Plan:
    """The steps of a sweep. Raises `RunError` for parameters that no notebook of the sweep has."""
    known = {n: known_parameters(n) for n in notebooks() if chosen(n, sweep.notebooks)}
    if not known:
        raise RunError(f"notebooks ({sweep.notebooks!r}): there are none of these numbers")
    taken = {name for parameters in known.values() for name in parameters}
    folder = Path(folder).resolve()
    steps: dict[str, Step] = {}
    runs: dict[str, list[str]] = {}
    last: dict[str, str] = {}
    for name, values in sweep.runs.items():
        plan(sweep.fixed | values)  # refuses what is in no notebook at all
        for missing in set(values) - taken:
            raise RunError(f"parameter {missing!r} is in none of the notebooks {sweep.notebooks}")
        chain = list(_chain(sweep.fixed, values, known, folder))
        if chain[-1].key in last:
            raise RunError(f"the runs {last[chain[-1].key]} and {name} are the same")
        last[chain[-1].key] = name
        steps |= {step.key: step for step in chain}
        runs[name] = [step.key for step in chain]
    return Plan(sweep, folder, steps, runs)


def _chain(fixed: dict, values: dict, known: dict, folder: Path) -> Iterator[Step]:
    """The steps of one run. Two runs' steps have one key if all up to them is the same."""
    given, checksum, parent, made = fixed | values, "", None, None
    label: dict[str, object] = {}
    for notebook, defaults in known.items():
        own = {name: given.get(name, default) for name, default in defaults.items() if name not in HOW}
        makes = own.get("make_data", False)
        if "data" in own and not (makes or made):
            own["data"] = str(resolve(own["data"], "data"))  # kernels work in another folder
        # a dataset that the chain makes lies where the chain says: its place is no difference
        content = {name: v for name, v in own.items() if not (name == "data" and (makes or made))}
        key = checksum = step_key(checksum, notebook, content).digest
        made = str(folder / "data" / key) if makes else made
        own |= {"data": made} if made and "data" in own else {}
        label |= {name: value for name, value in values.items() if name in own}
        text = notebook.stem + (f" ({', '.join(f'{n}={v}' for n, v in label.items())})" if label else "")
        yield Step(key, notebook, own, parent, text)
        parent = key


def time_left(plan: Plan, waiting: list[str], at_once: int) -> float:
    """The seconds that the steps `waiting` will take, about. It goes by their like, or else by
    `SECONDS`.

    As `run_sweep` goes: whoever of the `at_once` is free begins the step that can begin first.
    """
    measured: dict[str, list[float]] = {}
    for key, step in plan.steps.items():
        if plan.done(key):
            seconds = json.loads((plan.place(key) / "step.json").read_text())["seconds"]
            measured.setdefault(step.notebook.stem, []).append(seconds)
    table = SECONDS["smoke" if plan.sweep.preset == "smoke" else "laptop"]
    free, todo = [0.0] * at_once, dict.fromkeys(waiting)
    ends: dict[str | None, float] = {}
    while todo:
        ready = [key for key in todo if plan.steps[key].parent not in todo]
        key = min(ready, key=lambda key: ends.get(plan.steps[key].parent, 0.0))
        step = plan.steps[key]
        like = measured.get(step.notebook.stem)
        seconds = median(like) if like else table[min(int(step.notebook.name[:2]), len(table) - 1)]
        ends[key] = max(heapq.heappop(free), ends.get(step.parent, 0.0)) + seconds
        heapq.heappush(free, ends[key])
        del todo[key]
    return max(ends.values(), default=0.0)


def plan_in_words(plan: Plan, at_once: int) -> str:
    """The plan in words: the question, the counts, and the steps as a tree, done ones with a mark."""
    waiting = plan.needed()
    counts = f"{len(plan.runs)} runs of notebooks {plan.sweep.notebooks}, preset {plan.sweep.preset}: "
    counts += f"{len(plan.steps)} steps ({plan.shared} more are shared), "
    counts += f"{len(plan.steps) - len(waiting)} done before, {len(waiting)} to run"
    left = f"about {time_left(plan, waiting, at_once) / 60:.0f} min, {at_once} at once, in {plan.folder}"
    lines = [plan.sweep.question, counts, left]
    depth: dict[str | None, int] = {None: 0}
    children: dict[str | None, list[Step]] = {}
    for step in plan.steps.values():
        depth[step.key] = depth[step.parent] + 1
        children.setdefault(step.parent, []).append(step)
    stack = children[None][::-1]
    while stack:
        step = stack.pop()
        mark = "to run" if step.key in waiting else "done"
        lines.append(f"{mark:7}{'  ' * depth[step.key]}{step.label}")
        stack += children.get(step.key, [])[::-1]
    return "\n".join(lines)
