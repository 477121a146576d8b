"""Sweeps over small notebooks: what is shared, done again, broken, and that two do not collide."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

from scslib.cli.sweep import sweep as command
from scslib.experiments import sweep_run
from scslib.experiments.notebooks import RunError
from scslib.experiments.sweep_folders import branch, linked
from scslib.experiments.sweep_plan import load_sweep, plan_sweep, time_left
from scslib.experiments.sweep_run import run_sweep
from tests.support.small_kit import small_kit, write_sweep

SWEEPS = sorted((Path(__file__).resolve().parents[2] / "notebooks" / "sweeps").glob("*.yaml"))


@pytest.fixture
def kit(tmp_path, monkeypatch):
    root = small_kit(tmp_path / "kit")
    monkeypatch.setenv("SCS_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    return root


def planned(kit, text, folder="out", **options):
    return plan_sweep(load_sweep(write_sweep(kit, text), **options), folder)


def said(kit):
    return sorted((kit / "log").read_text().split("\n")[:-1])


def scs_sweep(*arguments, code=0):
    done = CliRunner().invoke(command, [str(a) for a in arguments])
    assert (done.exit_code != 0) == bool(code), (done.output, done.exception)
    return done.output, str(done.exception or "")


class Process:
    """As of `subprocess.Popen`: ends after some seconds, having done `work`."""

    def __init__(self, work, seconds=0.0):
        self.end, self.work, self.returncode, self.stdin = time.monotonic() + seconds, work, None, self

    def poll(self):
        if self.returncode is None and time.monotonic() >= self.end:
            self.returncode = self.work() or 0
        return self.returncode

    def close(self):
        self.returncode = -2

    def wait(self, timeout):
        return self.returncode


def stand_in(work, seconds=0.0):
    """A `start` that does work(step, folder) instead of the notebook."""
    return lambda step, folder, parameters, lock: Process(lambda: work(step, folder), seconds)


QUIET = {"say": lambda line: None}
THREE_K = "# How many?\ngrid: {k: [1, 2, 3]}\nnotebooks: 01-06\nseeds: [0, 1]\n"


def test_only_what_differs_is_a_step_of_its_own(kit):
    plan = planned(kit, THREE_K)
    assert [step.label for step in plan.steps.values()] == [
        "01_make",
        "03_learn",
        "06_judge (k=1)",
        "06_judge (k=2)",
        "06_judge (k=3)",
    ]
    assert plan.shared == 4 and list(plan.runs) == ["k=1", "k=2", "k=3"]
    both = planned(kit, "# ?\ngrid: {classifier_seed: [0, 1], k: [1, 2]}\nnotebooks: 01-06")
    assert len(both.runs) == 4 and len(both.steps) == 1 + 2 + 4
    sets = planned(kit, "# ?\nsets: [{length: 3}, {length: 4, k: 2}]\nnotebooks: 01-06")
    assert len(sets.steps) == 6


def test_a_notebook_that_comes_first_and_takes_the_parameter_divides_all_that_follows(kit):
    assert len(planned(kit, "# ?\ngrid: {k: [1, 2]}\nnotebooks: 00-06").steps) == 8


def test_where_it_lies_and_how_many_processes_is_no_difference(kit):
    one, other = planned(kit, THREE_K, "one"), planned(kit, THREE_K, "other")
    assert list(one.steps) == list(other.steps)
    assert all(not {"run", "workers"} & set(step.parameters) for step in one.steps.values())
    changed = kit / "notebooks" / "03_learn.ipynb"
    changed.write_text(changed.read_text().replace("* 100", "* 101"))
    again = list(planned(kit, THREE_K).steps)
    assert again[0] == list(one.steps)[0] and not set(again[1:]) & set(one.steps)


def test_each_dataset_that_is_made_has_a_folder_of_its_own(kit):
    plan = planned(kit, "# ?\ngrid: {length: [1, 2], k: [1, 2]}\nnotebooks: 01-06")
    folders = {step.parameters["data"] for step in plan.steps.values() if "data" in step.parameters}
    assert len(folders) == 2 and all(str(plan.folder / "data") in folder for folder in folders)
    given = planned(kit, THREE_K, given={"make_data": False, "data": "mine"})
    assert {s.parameters["data"] for s in given.steps.values() if "data" in s.parameters} == {
        str(kit / "data" / "mine")
    }


@pytest.mark.parametrize(
    "text, words",
    [
        ("# ?\ngrid: {nothing: [1, 2]}", ["nothing", "1"]),
        ("# ?\ngrid: {k: [1, 2]}\nnotebooks: '01-03'", ["'k'", "none of the notebooks 01-03"]),
        ("# ?\ngrid: {run: [a, b]}", ["'run'"]),
        ("# ?\nparameters: {workers: 3}", ["'workers'"]),
        ("# ?\ngrid: {k: [1, 2]}\nparameters: {k: 3}", ["'k'", "3"]),
        ("# ?\ngrid: {k: 3}", ["grid: k ('3')"]),
        ("# ?\nsets: {k: 3}", ["sets"]),
        ("# ?\nsets: [{}, {k: 4}]", ["as-it-is", "k=4", "same"]),
        ("# ?\ngrid: {k: [1, 1]}", ["k=1"]),
        ("grid: {k: [1]}", ["question"]),
        ("# ?\ngird: {k: [1]}", ["question, preset, grid"]),
        ("# ?\nnotebooks: 6", ["notebooks ('6')"]),
        ("# ?\nnotebooks: 40-50", ["40-50"]),
        ("# ?\npreset: huge", ["huge"]),
        ("# ?\ngrid: [", ["not YAML"]),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_anything_runs(kit, text, words):
    line = scs_sweep(write_sweep(kit, text), "--out", kit / "out", code=1)[1]
    for word in words:
        assert word in line, line
    assert not (kit / "out").exists()
    assert "no-such-sweep" in scs_sweep("no-such-sweep", code=1)[1]


def test_a_dataset_of_ones_own_is_read_and_never_taken_for_a_place_to_draw_into(kit):
    mine = kit / "mine"
    mine.mkdir()
    (mine / "dataset.json").write_text("{}")
    path = write_sweep(kit, THREE_K)
    line = scs_sweep(path, "--out", kit / "out", "-p", "data", mine, code=1)[1]
    assert f"{mine}: holds a dataset that is not synthetic" in line and f"--data {mine}" in line
    line = scs_sweep(path, "--out", kit / "out", "--data", mine, code=1)[1]
    assert str(mine / "videos.csv") in line and not (kit / "out").exists()


def test_dry_run_says_what_it_would_do_and_does_nothing(kit):
    text, _ = scs_sweep(write_sweep(kit, THREE_K), "--dry-run", "--out", kit / "out")
    assert "How many?" in text and "5 steps (4 more are shared)" in text and "5 to run" in text
    assert "06_judge (k=3)" in text and " min" in text
    assert not (kit / "out").exists()


def test_a_sweep_from_end_to_end(kit):
    """Real notebooks in real processes, each once; a broken run is kept, and the others go on."""
    path = write_sweep(kit, "# How many?\ngrid: {k: [13, 2]}\nnotebooks: 01-06\nseeds: [0, 1]")
    text, line = scs_sweep(path, "--out", kit / "out", "--workers", 2, code=1)
    assert said(kit) == ["01 3", "03 0", "06 13", "06 2"]
    assert "1 of 2 runs" in line and "06_judge" in line and "thirteen" in line
    broken = kit / "out" / "runs" / "k=13.failed" / "notebooks" / "06_judge.failed.ipynb"
    assert broken.is_file() and not (kit / "out" / "runs" / "k=13").exists()
    for name in ("results.csv", "results.parquet"):
        frame = getattr(pd, f"read_{name.split('.')[1]}")(kit / "out" / name)
        assert frame["run"].tolist() == ["k=2"] * 2 and frame["seed"].tolist() == [0, 1]
        assert frame["accuracy"].tolist() == pytest.approx([0.02, 0.021])
        assert (frame["length"] == 3).all() and frame["torch"].notna().all()
        assert (frame["notebook_seconds"] > 0).all()
    about = json.loads((kit / "out" / "sweep.json").read_text())
    counts = {name: about[name] for name in ("steps", "shared", "done_before", "run", "failed")}
    assert counts == {"steps": 4, "shared": 2, "done_before": 0, "run": 3, "failed": 1}
    assert about["question"] == "How many?" and "m" in text.split("results:")[0]
    mine, theirs = (kit / "out" / "runs" / name / "checkpoints" / "f" for name in ("k=2", "k=13.failed"))
    assert os.path.samefile(mine, theirs)
    params = json.loads((kit / "out" / "runs" / "k=2" / "params.json").read_text())
    assert (params["classifier_seed"], params["k"]) == (0, 2)


def test_a_larger_grid_goes_on_from_what_there_is(kit):
    tried = []
    start = stand_in(lambda step, folder: tried.append(step.label))
    for grid, done in ((THREE_K, 0), (THREE_K, 5), (THREE_K.replace("3]", "3, 4]"), 5)):
        about = run_sweep(planned(kit, grid), at_once=1, start=start, **QUIET)
        assert about["done_before"] == done
    assert len(tried) == 6 and tried[-1] == "06_judge (k=4)"


def test_what_needs_a_broken_step_is_not_run_and_a_second_try_is(kit):
    plan = planned(kit, "# ?\ngrid: {classifier_seed: [0, 1], k: [1, 2]}\nnotebooks: 01-06")
    tried, broken = [], True

    def work(step, folder):
        tried.append(step.label)
        return int(broken and step.label == "03_learn (classifier_seed=0)")

    about = run_sweep(plan, at_once=2, start=stand_in(work), **QUIET)
    assert (about["run"], about["failed"], about["not_run"]) == (4, 1, 2) and len(tried) == 5
    assert [run["status"] for run in about["runs"]] == ["failed", "failed", "done", "done"]
    broken = False
    about = run_sweep(plan, at_once=2, start=stand_in(work), **QUIET)
    assert (about["run"], about["failed"], about["done_before"]) == (3, 0, 4) and len(tried) == 8


def test_no_more_at_once_than_asked_for_and_no_less(kit):
    plan, now, most = planned(kit, "# ?\ngrid: {length: [1, 2, 3, 4, 5]}\nnotebooks: 01-03"), [], []

    def start(step, folder, parameters, lock):
        now.append(step.key)
        most.append(len(now))
        if "workers" in parameters:
            assert parameters["workers"] * len(now) <= 3
        return Process(lambda: now.remove(step.key), 0.3)

    run_sweep(plan, at_once=3, start=start, **QUIET)
    assert max(most) == 3


def test_two_sweeps_in_one_folder_do_each_step_once(kit):
    plan, tried, ends = planned(kit, THREE_K), [], []

    def sweep():
        work = stand_in(lambda step, folder: tried.append(step.key), 0.3)
        ends.append(run_sweep(plan, at_once=2, start=work, **QUIET))

    both = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert sorted(tried) == sorted(plan.steps)
    assert len(ends) == 2 and all(run["status"] == "done" for end in ends for run in end["runs"])
    assert sum(end["run"] for end in ends) == 5 and sum(end["done_before"] for end in ends) == 5


def test_killed_it_ends_its_notebooks_and_goes_on_later(kit):
    slow = kit / "notebooks" / "03_learn.ipynb"
    notebook = nbformat.read(slow, 4)
    notebook.cells[1].source += f"""
import os, time
(run / "kernel").write_text(str(os.getpid()))
time.sleep(0 if Path({str(kit / "go")!r}).exists() else 1000)
"""
    nbformat.write(notebook, slow)
    path = write_sweep(kit, "# ?\ngrid: {classifier_seed: [7]}\nnotebooks: 01-03")
    plan = plan_sweep(load_sweep(path), kit / "out")
    make, learn = plan.steps.values()
    branch(None, plan.place(make.key))  # as if 01 had been done
    (plan.place(make.key) / "step.json").write_text('{"seconds": 1}')
    Path(make.parameters["data"]).mkdir(parents=True)
    (Path(make.parameters["data"]) / "videos.csv").write_text("3")
    program = [sys.executable, "-c", "from scslib.cli.sweep import sweep; sweep()", path]
    first = subprocess.Popen([*program, "--out", str(kit / "out")], stdout=subprocess.DEVNULL)
    pid = int(wait_for(lambda: text_of(plan.place(learn.key) / "kernel")))
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(lambda: not alive(pid))
    (kit / "go").touch()
    text, _ = scs_sweep(path, "--out", kit / "out")
    assert said(kit) == ["03 7", "03 7"] and "1 done before" in text


def text_of(path):
    return path.read_text() if path.exists() else ""


def wait_for(condition, seconds=200):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("waited in vain")


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_branch_links_big_files_and_copies_those_that_are_written_into(tmp_path):
    origin, folder = tmp_path / "a", tmp_path / "b"
    for name in ("cache/x/0.json", "checkpoints/f", "figures/p.png", "report.html", "step.json"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("before")
    branch(origin, folder)
    assert not (folder / "step.json").exists()
    for name, same in (("cache/x/0.json", True), ("checkpoints/f", True), ("figures/p.png", False)):
        assert os.path.samefile(origin / name, folder / name) == same, name
    (folder / "report.html").write_text("after")
    part = folder / "cache/x/0.part"
    part.write_text("after")
    before = linked([origin])
    os.replace(part, folder / "cache/x/0.json")  # as the library does
    assert (origin / "report.html").read_text() == (origin / "cache/x/0.json").read_text() == "before"
    assert linked([origin]) == before
    branch(None, tmp_path / "c", [folder])
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["cache"]
    assert (tmp_path / "c/cache/x/0.json").read_text() == "after"
    branch(origin, tmp_path / "d", [folder])
    assert os.path.samefile(tmp_path / "d/cache/x/0.json", origin / "cache/x/0.json")


def test_a_notebook_that_writes_into_a_shared_file_is_caught(kit):
    def work(step, folder):
        (folder / "cache").mkdir(exist_ok=True)
        with (folder / "cache" / "table").open("a") as file:
            file.write("more")

    about = run_sweep(planned(kit, THREE_K), at_once=1, start=stand_in(work), **QUIET)
    assert about["failed"] == 1 and about["run"] == 1
    assert "03_learn" in about["runs"][0]["reason"] and "cache/table" in about["runs"][0]["reason"]


def test_what_one_value_has_read_the_next_one_need_not(kit):
    had = []

    def work(step, folder):
        (folder / "cache" / "features-1").mkdir(parents=True, exist_ok=True)
        mine = folder / "cache" / "features-1" / step.key
        had.append(len(list(mine.parent.iterdir())))
        mine.write_text("")

    run_sweep(planned(kit, THREE_K), at_once=1, start=stand_in(work), **QUIET)
    assert had == [0, 1, 2, 3, 4]  # 01, 03, then K = 1, 2, 3


def test_time_left_comes_from_the_table_then_from_what_was_measured(kit, monkeypatch):
    plan = planned(kit, THREE_K)
    table = (0, 10, 0, 20, 0, 0, 30)
    monkeypatch.setattr("scslib.experiments.sweep_plan.SECONDS", {"smoke": table, "laptop": ()})
    assert time_left(plan, plan.needed(), 1) == 10 + 20 + 3 * 30
    assert time_left(plan, plan.needed(), 2) == 90  # two of the three at once, then the third
    assert time_left(plan, plan.needed(), 9) == 60
    done = [key for key, step in plan.steps.items() if step.label == "06_judge (k=1)"][0]
    plan.place(done).mkdir(parents=True)
    (plan.place(done) / "step.json").write_text('{"seconds": 5}')
    assert time_left(plan, plan.needed(), 1) == 10 + 20 + 2 * 5
    assert time_left(plan, [], 1) == 0


def test_a_process_that_is_killed_is_a_failure_that_says_so(kit):
    start = stand_in(lambda step, folder: -9)
    about = run_sweep(planned(kit, THREE_K), at_once=1, start=start, **QUIET)
    assert about["failed"] == 1 and "status -9" in about["runs"][0]["reason"]
    with pytest.raises(RunError, match="at_once"):
        run_sweep(planned(kit, THREE_K), at_once=0)
    assert sweep_run.POLL_S < 1


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_kits_sweeps_ask_a_question_and_say_how_long(path, tmp_path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith("?")
    assert any(line.startswith("# About ") and "two cores" in line for line in lines)
    plan = plan_sweep(load_sweep(path.stem), tmp_path)
    assert len(plan.runs) > 1 and plan.sweep.preset == ("real" if path.stem == "real" else "laptop")


def test_the_kits_sweeps_are_there():
    names = {"k", "gop_codec", "action_share", "no_sound", "duration", "train_videos", "sampler_width"}
    assert names | {"evidence", "real", "segments"} <= {path.stem for path in SWEEPS}
