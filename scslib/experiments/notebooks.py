"""`scs run`: execute the notebooks in order with papermill and a preset."""

from __future__ import annotations

import contextlib
import json
import os
import re
import reprlib
import sys
import time
from pathlib import Path

import click
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from scslib.experiments.kernel import ThisPython, has_died
from scslib.experiments.parameters import declared, known_parameters, texts
from scslib.jobs.files import check_folder
from scslib.jobs.fingerprint import code_of_text
from scslib.jobs.keys import OLDER, Key, made_again
from scslib.jobs.run_folder import Run, open_run, resolve, root
from scslib.jobs.user_files import code_in, digest, whole, whole_plugin

PRESETS = ("smoke", "laptop", "real", "full")
CELL_TIMEOUT_S = 24 * 3600
START_TIMEOUT_S = 300  # on a busy machine a kernel takes a minute and more
NOT_LAST = ("IPKernelApp", "Kernel died", "starting new kernel client")  # said by Jupyter, of any death


class RunError(ValueError):
    """A run that cannot start or go on; one line that names the parameter or the notebook."""


def notebooks() -> list[Path]:
    """The numbered notebooks, in order."""
    found = sorted((root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise RunError(f"{root() / 'notebooks'}: no notebooks here (set SCS_ROOT to the kit's folder)")
    return found


def preset(name: str) -> dict:
    """The parameters of notebooks/presets/NAME.yaml, each of its notebook's type.

    `name` may also be the path of a YAML file. Raises `RunError` for what no notebook takes.
    """
    path = root() / "notebooks" / "presets" / f"{name}.yaml" if name in PRESETS else Path(name)
    if not path.is_file():
        raise RunError(f"preset ({name}) must be one of {', '.join(PRESETS)}, or a YAML file")
    try:
        values = texts(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise RunError(f"{path}: must hold names and values")
    return typed(values)


def plan(params: dict) -> list[tuple[Path, dict]]:
    """The parameters of each notebook, each of the type that the notebook declares.

    Code in a file that is named here may run from now on (`user_files.allow`). Raises `RunError` for a
    parameter that none of them has, or a value that cannot be of its type.
    """
    known = {notebook: declared(notebook) for notebook in notebooks()}
    everything = {name for parameters in known.values() for name in parameters}
    for name, value in params.items():
        if name not in everything:
            raise RunError(
                f"parameter {name!r} (value {reprlib.repr(value)}) is in no notebook; known: "
                + ", ".join(sorted(everything))
            )
    try:
        values = [
            (notebook, {name: own[name].held(v) for name, v in params.items() if name in own})
            for notebook, own in known.items()
        ]
        return [(notebook, {n: _whole(n, v) for n, v in own.items()}) for notebook, own in values]
    except ValueError as error:
        raise RunError(str(error)) from None


def _whole(name: str, value: object) -> object:
    """Of classifiers and plugins, files with their whole paths: kernels work in another folder."""
    if name == "plugins" and isinstance(value, list):
        return [whole_plugin(item) for item in value]
    if name == "checkpoint" and isinstance(value, str):
        return whole(value)
    if name == "checkpoints" and isinstance(value, list):
        return [whole(item) for item in value]
    return value


def typed(params: dict) -> dict:
    """`params` with every value of its notebook's type. Raises `RunError` as `plan` does."""
    values = {name: value for _, own in plan(params) for name, value in own.items()}
    return {name: values[name] for name in params}


def read_from(dataset: Path) -> dict:
    """The parameters by which a run reads this dataset instead of drawing one."""
    return {"data": str(dataset.resolve()), "make_data": False}


def check_data(params: dict) -> None:
    """Look at the dataset that a run with these parameters reads.

    Where the run makes one, look at its place. Raises `DatasetError` for one that the run would break
    on or be worth nothing by, `ValueError` for a place that holds another's, and `OSError` for one that
    cannot be written.
    """
    from scslib.datasets.copies import ready_to_run
    from scslib.datasets.manifest import load_dataset
    from scslib.datasets.synthetic.make import check_not_anothers

    values: dict = {}
    for notebook in notebooks():
        values |= known_parameters(notebook)
    values |= params
    if "data" not in values:
        return
    folder = resolve(values["data"], "data")
    if values.get("make_data", False):
        check_not_anothers(folder)
        check_folder(folder, what="data")
    else:
        ready_to_run(load_dataset(folder))


def chosen(notebook: Path, numbers: str) -> bool:
    """Tell whether `numbers`, "00-07" or "08,10" or "08", means this notebook. Raises `RunError`."""
    if not re.fullmatch(r"\d\d(-\d\d)?(,\d\d(-\d\d)?)*", numbers):
        raise RunError(f"notebooks ({numbers!r}) must be numbers and ranges, such as 00-07 or 08,10")
    spans = [part.split("-") for part in numbers.split(",")]
    return any(span[0] <= notebook.name[:2] <= span[-1] for span in spans)


def run_notebooks(out: str | Path, params: dict, *, command: str, numbers: str = "00-99") -> Run:
    """Run the notebooks of these `numbers` into the run folder `out`.

    They run one process after the other. A notebook that was run with the same source, parameters,
    predecessors and library is not run again. Raises `RunError` at the first one that breaks: see
    `execute`.
    """
    steps = plan(params | {"run": str(resolve(out, "runs"))})
    total_steps = sum(chosen(notebook, numbers) for notebook, _ in steps)
    if not total_steps:
        raise RunError(
            f"notebooks ({numbers!r}): there are only {steps[0][0].name[:2]} to {steps[-1][0].name[:2]}"
        )
    run = open_run(out)
    run.save_environment(params | {"run": run.folder.name})
    run.note(command=command)
    folder = run.inside("notebooks")
    folder.mkdir(exist_ok=True)
    # the kernels are told where the kit lies
    os.environ["SCS_ROOT"] = str(root())
    before, begin, number = "", time.monotonic(), 0
    for notebook, parameters in steps:
        key = step_key(before, notebook, parameters)
        before = key.digest
        if not chosen(notebook, numbers):
            continue
        number += 1
        stamp = run.inside("notebooks", f".{notebook.stem}.done")
        label = f"[{number}/{total_steps}] {notebook.stem}"
        there = (folder / notebook.name).is_file()
        if there and key.is_at(stamp):
            click.echo(f"{label}: done before")
            continue
        again = (key.why_again([stamp]) or OLDER) if there and stamp.is_file() else ""
        click.echo(f"{label} ..." + (f" (again: {again})" if again else ""), nl=not sys.stdout.isatty())
        start, clock = time.monotonic(), time.time()
        execute(notebook, folder, parameters)
        key.write(stamp, again=again)
        took, total = time.monotonic() - start, time.monotonic() - begin
        click.echo(f"\r{label}: {took:.0f} s ({total / 60:.1f} min so far)")
        kept = sorted(run.inside("cache").rglob("*key.json"))
        if "data" in parameters:
            kept.insert(0, resolve(parameters["data"], "data") / "key.json")
        for line in made_again(kept, since=clock):
            click.echo(f"    {line}")
    return run


def step_key(before: str, notebook: Path, parameters: dict) -> Key:
    """What a notebook's results depend on: those `before` it, its code cells, parameters, the library.

    Of the library only what the cells reach by import.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    cells = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    stands_on = {"cells": cells} | {f"parameter {name}": value for name, value in parameters.items()}
    stands_on |= {f"code of {text}": digest(text) for text in code_in(parameters.values())}
    code = code_of_text("\n".join(cells), "its cells")
    return Key(notebook.stem, notebook.name, code, stands_on | {"earlier notebooks": before})


def execute(notebook: Path, folder: Path, parameters: dict) -> None:
    """Run one notebook in this Python; FOLDER/NAME.ipynb is there when it is complete.

    A broken one is kept as NAME.failed.ipynb, and the `RunError` names it, the cell, and the error, or
    says that the kernel died. What kernels say on stderr goes to FOLDER/kernels.log. Links out of FOLDER
    are not followed.
    """
    names = (notebook.name, f".{notebook.stem}.part.ipynb", f"{notebook.stem}.failed.ipynb")
    target, temporary, failed, log = (Run(folder).inside(name) for name in (*names, "kernels.log"))
    failed.unlink(missing_ok=True)
    said = log.stat().st_size if log.is_file() else 0
    bar = {"file": sys.stdout, "leave": False, "disable": not sys.stdout.isatty()}
    try:
        with _stderr_to(log):
            papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters=parameters,
                kernel_name="python3",
                kernel_manager_class=ThisPython,
                cwd=str(notebook.parent),  # Python imports there: no module of a run's folder
                progress_bar=bar,
                start_timeout=START_TIMEOUT_S,
                execution_timeout=CELL_TIMEOUT_S,
            )
    except PapermillExecutionError as error:
        os.replace(temporary, failed)
        reason = f"{error.ename}: {error.evalue}"
        raise RunError(f"{notebook.stem}, cell {error.exec_count}: {reason} (see {failed})") from error
    except RuntimeError as error:
        if not has_died(error):
            temporary.unlink(missing_ok=True)
            raise
        if temporary.is_file():
            os.replace(temporary, failed)
        raise RunError(f"{notebook.stem}: {_last_words(log, said)}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, target)


def _last_words(log: Path, begin: int) -> str:
    """That the kernel died, and the last line that it wrote to `log` after its first `begin` bytes."""
    lines = log.read_bytes()[begin:].decode("utf-8", "replace").split("\n")
    words = [line.strip() for line in lines if line.strip() and not any(s in line for s in NOT_LAST)]
    why = f"it last said: {words[-1][:200]}" if words else "it said nothing; often memory has run out"
    return f"its kernel died ({why}; see {log}, and scs doctor)"


@contextlib.contextmanager
def _stderr_to(path: Path):
    """Kernels inherit this process's stderr; what they say there belongs in a file."""
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
