"""Runs as one table, means with intervals, paired tests: against numbers that are known otherwise."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scslib.experiments.notebooks import notebooks
from scslib.experiments.parameters import known_parameters
from scslib.experiments.results import (
    HOW,
    compare,
    load_runs,
    mean_over_seeds,
    readable_means,
    save_results,
)
from scslib.jobs.run_folder import WorkspaceError, environment
from scslib.jobs.tables import TableError
from scslib.report.plots_cost import pareto_front


def make_run(folder, *, given, accuracies, seconds=(1.5, 2.0)):
    """A run of two notebooks with the parameters run, k (4), lr and checkpoints; a row for each seed."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "results").mkdir()
    for name, duration in zip(("05_a", "06_b"), seconds, strict=True):
        lines = "run: str = 'r'  # folder\nk: int = 4  # clips\nlr: float = 1.0e-3  # rate\n"
        lines += "checkpoints: list = []  # files\ndata: str = '/some/where/d'  # folder\n"
        lines += "device: str = 'auto'  # where networks run"
        cell = nbformat.v4.new_code_cell(lines, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[cell])
        notebook.metadata["papermill"] = {"parameters": given | {"run": "x"}, "duration": duration}
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    about = {"packages": {"torch": "2.11.0"}, "cores": 2, "devices": {"f": "cpu", "g": "NVIDIA"}}
    (folder / "env.json").write_text(json.dumps(about))
    rows = [("m", seed, value) for seed, value in enumerate(accuracies)]
    table = pd.DataFrame(rows, columns=["method", "seed", "accuracy"])
    table.to_csv(folder / "results" / "methods.csv", index=False)


@pytest.fixture
def two(tmp_path):
    make_run(tmp_path / "one", given={}, accuracies=[0.5, 0.6])
    make_run(tmp_path / "two", given={"k": 8, "checkpoints": ["f.pt"]}, accuracies=[0.7])
    return tmp_path


def test_runs_become_one_table_with_all_that_belongs_to_them(two):
    frame = load_runs([two / "one", two / "two"])
    assert frame["run"].tolist() == ["one", "one", "two"] and frame["seed"].tolist() == [0, 1, 0]
    assert frame["k"].tolist() == [4, 4, 8] and (frame["lr"] == 0.001).all()
    assert frame["checkpoints"].tolist() == ["[]", "[]", '["f.pt"]']
    assert (frame["data"] == "d").all()  # no path of one machine
    assert (frame["torch"] == "2.11.0").all() and (frame["cores"] == 2).all()
    assert (frame["notebook_seconds"] == 3.5).all() and not {"workers"} & set(frame)
    assert frame.columns.is_unique
    assert (frame["device"] == "auto").all() and (frame["devices"] == "NVIDIA, cpu").all()


def test_no_parameter_is_named_as_what_is_known_of_a_run():
    known = {name for path in notebooks() for name in known_parameters(path)} - set(HOW)
    found = environment()
    assert not known & {"sweep", "run", "devices", "notebook_seconds", *found.pop("packages"), *found}


def test_a_sweep_is_its_finished_runs(two):
    (two / "runs").mkdir()
    for name in ("one", "two"):
        (two / name).rename(two / "runs" / name)
    runs = [{"name": "one", "status": "done"}, {"name": "two", "status": "failed"}]
    (two / "sweep.json").write_text(json.dumps({"runs": runs}))
    frame = load_runs(two)
    assert set(frame["run"]) == {"one"} and set(frame["sweep"]) == {two.name}
    (two / "sweep.json").write_text('{"runs": []}')
    with pytest.raises(WorkspaceError, match="no finished run"):
        load_runs(two)


def test_a_folder_that_is_no_run_is_an_error_that_names_it(tmp_path):
    with pytest.raises(WorkspaceError, match="nothing/results/methods.csv"):
        load_runs(tmp_path / "nothing")


def test_both_files_hold_the_table_whatever_is_in_its_columns(two, tmp_path):
    frame = load_runs([two / "one", two / "two"]).assign(mixed=["a", 1, None])
    save_results(frame, tmp_path)
    parquet, csv = pd.read_parquet(tmp_path / "results.parquet"), pd.read_csv(tmp_path / "results.csv")
    assert parquet["mixed"].tolist()[:2] == ["a", "1"] and pd.isna(parquet["mixed"][2])
    for read in (parquet, csv):
        assert read["accuracy"].tolist() == frame["accuracy"].tolist()
        assert list(read.columns) == list(frame.columns)


def test_a_kept_table_is_loaded_as_it_is(two):
    frame = load_runs([two / "one", two / "two"])
    save_results(frame, two)
    again = load_runs([two / "results.csv", two / "two"])
    assert again["accuracy"].tolist() == [*frame["accuracy"], 0.7]
    with pytest.raises(TableError, match="nothing.csv: not a CSV file"):
        load_runs(two / "nothing.csv")


def test_the_front_is_what_nothing_beats():
    """Cheapest, better for more, best of all; not: dearer and worse, dearer and no better, as dear."""
    costs, accuracies = [1, 2, 4, 3, 5, 2, 1], [0.5, 0.7, 0.9, 0.6, 0.9, 0.6, 0.5]
    assert pareto_front(costs, accuracies).tolist() == [True, True, True, False, False, False, True]


def rows(values, **columns):
    return pd.DataFrame({"seed": range(len(values)), "accuracy": values} | columns)


def test_the_interval_over_seeds_is_students():
    values = [0.61, 0.70, 0.64]
    found = mean_over_seeds(rows(values, method="m"), by=["method"]).iloc[0]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(0.65))
    assert (found["accuracy_low"], found["accuracy_high"]) == (pytest.approx(low), pytest.approx(high))
    # by hand: t(2) = 4.303, sd = 0.0458
    assert found["accuracy"] - found["accuracy_low"] == pytest.approx(
        4.3027 * 0.045826 / np.sqrt(3), rel=1e-3
    )


def test_one_seed_has_no_interval_and_no_chance_one_of_width_zero():
    one = mean_over_seeds(rows([0.5], method="m"), by="method").iloc[0]
    assert one["n"] == 1 and np.isnan(one["accuracy_low"]) and np.isnan(one["accuracy_high"])
    same = mean_over_seeds(rows([0.5, 0.5], method="m"), by="method").iloc[0]
    assert same["accuracy_low"] == same["accuracy_high"] == 0.5


def test_samplers_that_share_a_classifier_are_one_repeat():
    """Three classifiers with two samplers each: three repeats, not six."""
    table = pd.concat([rows([c / 10, c / 10 + 0.02], method="m", classifier_seed=c) for c in (4, 5, 8)])
    found = mean_over_seeds(table, by=["method"]).iloc[0]
    means = [0.41, 0.51, 0.81]
    low, _ = stats.t.interval(0.95, 2, loc=np.mean(means), scale=stats.sem(means))
    assert found["n"] == 3 and found["accuracy_low"] == pytest.approx(low)


def test_runs_that_differ_are_not_taken_for_repeats():
    table = pd.concat([rows([0.5, 0.6], method="m", k=k) for k in (1, 2)])
    with pytest.raises(ValueError, match=r"by \(\['method'\]\).*seed 0 more than once"):
        mean_over_seeds(table, by=["method"])
    assert mean_over_seeds(table, by=["k", "method"])["n"].tolist() == [2, 2]
    with pytest.raises(ValueError, match="no column 'K'"):
        mean_over_seeds(table, by=["K"])


def test_the_answer_can_be_read():
    table = pd.concat([rows([0.5, 0.5], method=m, k=k) for k in (1, 2) for m in ("b", "a")])
    text = readable_means(table, ["k"], ["a", "b", "c"])
    assert text.columns.tolist() == ["a", "b"] and text.loc[2, "a"] == "50.0 ± 0.0"
    alone = readable_means(table[table["k"] == 1], ["classifier_seed"], ["a"])
    assert alone.shape == (1, 1) and alone.iloc[0, 0] == "50.0 ± 0.0"


def answers(method, correct, seed=0):
    ids = [f"v{n}" for n in range(len(correct))]
    return pd.DataFrame({"method": method, "seed": seed, "video_id": ids, "correct": correct})


def test_mcnemar_counts_the_videos_that_differ():
    """10 videos only a has, 2 only b: p = 2 * P(X <= 2 of 12) = 2 * 79 / 4096."""
    a = [True] * 10 + [False] * 2 + [True] * 8
    b = [False] * 10 + [True] * 2 + [True] * 8
    table = pd.concat([answers("a", a), answers("b", b)])
    found = compare(table, "a", "b")
    assert found.p == pytest.approx(2 * 79 / 4096) and "McNemar" in found.test
    assert (found.better, found.worse, found.videos) == (10, 2, 20)
    assert found.difference == pytest.approx(0.4) and found.low < 0.4 < found.high
    turned = compare(table, "b", "a")
    assert turned.p == pytest.approx(found.p) and turned.difference == -found.difference
    assert "+40.0 points" in str(found) and "10 of 20 videos better" in str(found)


def test_seeds_are_no_further_videos():
    """The same answers from five seeds are no more evidence than from one."""
    right = {"a": [True] * 4 + [False] * 4, "b": [False] * 3 + [True, False] + [False] * 3}
    of_seeds = [
        pd.concat([answers(m, c, seed) for m, c in right.items() for seed in range(count)])
        for count in (1, 5)
    ]
    assert compare(of_seeds[0], "a", "b").p == compare(of_seeds[1], "a", "b").p == 0.25


def test_several_answers_a_video_are_permuted():
    rng = np.random.default_rng(1)
    a = [answers("a", rng.random(40) < 0.8, seed) for seed in range(3)]
    b = [answers("b", rng.random(40) < 0.4, seed) for seed in range(3)]
    same = [answers("c", rng.random(40) < 0.8, seed) for seed in range(3)]
    table = pd.concat([*a, *b, *same])
    found = compare(table, "a", "b")
    assert "permutation" in found.test and found.p < 0.001 and found.low > 0
    gap = table.groupby(["method", "video_id"])["correct"].mean().unstack(0)
    assert found.p == pytest.approx(stats.wilcoxon(gap["a"], gap["b"]).pvalue, abs=0.002)
    assert compare(table, "a", "c").p > 0.05 and compare(table, "a", "c").low < 0


def test_methods_that_never_differ_do_not_differ():
    table = pd.concat([answers("a", [True, False]), answers("b", [True, False])])
    found = compare(table, "a", "b")
    assert (found.p, found.low, found.high) == (1.0, 0.0, 0.0)


def test_videos_that_only_one_answered_are_counted():
    table = pd.concat([answers("a", [True, False, True]), answers("b", [True, False])])
    found = compare(table, "a", "b")
    assert (found.videos, found.left_out) == (2, 1) and "1 left out" in str(found)
    with pytest.raises(ValueError, match=r"b \('x'\) must be one of .*: a, b"):
        compare(table, "a", "x")
    other = answers("c", [True]).assign(video_id="other")
    with pytest.raises(ValueError, match="no video in common"):
        compare(pd.concat([table, other]), "a", "c")


def test_a_run_is_named_by_its_folder(two):
    table = pd.concat([answers("a", [True, False]), answers("b", [False, False])])
    table.to_csv(two / "one" / "results" / "predictions.csv", index=False)
    assert compare(two / "one", "a", "b").better == 1
