"""Runs with links, scripts and notebooks of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from scslib.experiments.notebooks import execute, notebooks
from scslib.jobs.run_folder import Run
from scslib.samplers.bundle import load_trained
from tests.hostile.corpus import SCRIPT, Place, Use, cli, hostile
from tests.support import mutate
from tests.support.runs import example_run


def _run(place: Place) -> Run:
    path = place.folder / "a.mp4"
    path.write_bytes(mutate.good()["h264.mp4"])
    return example_run(place.folder / "run", path, answers=[("hop", "hop")])


def _entry(run: Run) -> tuple[Path, dict]:
    path = next((run.folder / "gallery").glob("*.json"))
    return path, json.loads(path.read_text())


@hostile("run")
def linked_results(place: Place):
    """a results/ that is a link to a folder outside | its tables are read, and others written there
    | `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "results").rename(place.folder / "results")
    (run.folder / "results").symlink_to(place.outside)
    return cli("report", run.folder)


@hostile("run")
def linked_gallery(place: Place):
    """a gallery/ that is a link to a folder outside | its files are read into the report | `a link,
    and a gallery is a folder of the run`"""
    run = _run(place)
    (run.folder / "gallery").rename(place.folder / "gallery")
    (run.folder / "gallery").symlink_to(place.outside)
    return cli("report", run.folder)


@hostile("run")
def linked_report(place: Place):
    """a report.html that is a link to a file outside | that is overwritten with the report |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "report.html").symlink_to(place.secret)
    return cli("report", run.folder)


@hostile("run")
def linked_figure(place: Place):
    """figures/ with a picture that is a link to a file outside | its content is in the report |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "figures" / "stolen.png").symlink_to(place.secret)
    return cli("report", run.folder)


@hostile("run")
def linked_log(place: Place):
    """a notebooks/kernels.log that is a link to a file outside | what kernels say is added to that |
    `leads out of the run's folder`"""
    run = _run(place)
    (run.folder / "notebooks").mkdir()
    (run.folder / "notebooks" / "kernels.log").symlink_to(place.secret)
    return lambda: execute(notebooks()[0], run.folder / "notebooks", {})


@hostile("run")
def linked_checkpoint(place: Place):
    """a checkpoint that is a link to a file outside | is read | `leads out of the run's folder`"""
    run = _run(place)
    run.note(objective="rank")
    path = run.checkpoint("motion-rank-seed0")
    path.parent.mkdir()
    path.symlink_to(place.secret)
    return lambda: load_trained(run.folder)


@hostile("run")
def script_in_gallery(place: Place):
    """a gallery whose labels and ids are scripts | run in the reader's browser |
    `&lt;script&gt;alert(1)`: all text is escaped"""
    run = _run(place)
    path, values = _entry(run)
    path.write_text(json.dumps(values | {"label": SCRIPT, "video_id": SCRIPT, "predicted": SCRIPT}))
    return _page(run)


def _page(run: Run) -> Use:
    """The report's text, but for the kit's own script."""

    def use() -> str:
        said = cli("report", run.folder)()
        page = (run.folder / "report.html").read_text(encoding="utf-8")
        assert SCRIPT not in page, "a script of the run's is in the report"
        return said + re.sub(r"\s+", " ", page)

    return use


@hostile("run")
def script_as_number(place: Place):
    """a gallery whose ranks and times are scripts | get into the page where numbers stand | `not a
    video of the gallery`"""
    run = _run(place)
    path, values = _entry(run)
    values["clips"][0]["rank"] = values["clips"][0]["start_s"] = SCRIPT
    path.write_text(json.dumps(values))
    return cli("report", run.folder)


@hostile("run")
def no_time(place: Place):
    """a gallery whose times are all zero, or not numbers | ends in a traceback: a division by zero
    | `not a video of the gallery (times and saliency do not fit)`"""
    run = _run(place)
    path, values = _entry(run)
    path.write_text(json.dumps(values | {"times": [[0, 0]], "saliency": [1]}))
    return cli("report", run.folder)


@hostile("run")
def script_as_method(place: Place):
    """a results/summary.csv whose method is a script | runs in the reader's browser |
    `&lt;script&gt;alert(1)`: all text is escaped"""
    run = _run(place)
    table = run.load_table("summary")
    table.loc[0, "method"] = SCRIPT
    run.save_table("summary", table)
    return _page(run)


@hostile("run")
def odd_notes(place: Place):
    """a notes.json that is a list | ends in a traceback | `must hold an object`"""
    run = _run(place)
    (run.folder / "results" / "notes.json").write_text("[1, 2]")
    return lambda: load_trained(run.folder)


@hostile("run")
def notebook(place: Place):
    """a notebook in RUN/notebooks | its code is run by scs report or scs sample | `report.html`;
    notebooks of a run are never executed"""
    run = _run(place)
    code = f"open({str(place.outside / 'pwned')!r}, 'w')"
    cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": [], "execution_count": None}
    (run.folder / "notebooks").mkdir()
    path = run.folder / "notebooks" / "06_evaluation.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return cli("report", run.folder)


@hostile("run")
def preset(place: Place):
    """a preset with a python/object tag | calls os.system when it is read | `not YAML`"""
    path = place.folder / "preset.yaml"
    path.write_text(f"k: !!python/object/apply:os.system ['touch {place.outside / 'pwned'}']\n")
    return cli("run", "--preset", path, "--out", place.folder / "out")


@hostile("run")
def name_as_path(place: Place):
    """a figure or a table named ../../outside/pwned | is written there | `leads out of the run's
    folder`"""
    run = _run(place)
    return lambda: run.save_figure("../../outside/pwned", None)
