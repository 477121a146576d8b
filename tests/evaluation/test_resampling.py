"""Samples of sources and their videos: against counting, and against worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from scslib.evaluation.resampling import draw_again, mean_interval, units_of
from scslib.evaluation.statistics import intervals
from scslib.evaluation.table import summarise
from scslib.experiments.results import compare


def predictions(right, source, method="a"):
    about = {"video_id": [f"v{n}" for n in range(len(right))], "source": source, "correct": right}
    return pd.DataFrame(about | {"method": method, "seed": 0, "read": 1.0})


def test_as_many_sources_are_drawn_as_there_are_and_of_each_as_many_videos_as_it_has():
    units = pd.DataFrame({"source": list("aabbbc"), "video_id": range(6)})
    counts = draw_again(units, ["source", "video_id"], draws=500)
    a, b, c = counts[:, :2].sum(1) / 2, counts[:, 2:5].sum(1) / 3, counts[:, 5]
    assert (a + b + c == 3).all() and (a % 1 == 0).all() and (b % 1 == 0).all()
    assert counts.mean(0) == pytest.approx(np.ones(6), abs=0.15)  # no video oftener than others
    assert (np.sort(counts[:, :2][a == 1], axis=1) == [0, 2]).all(1).any()  # of a source, not each once
    assert np.array_equal(counts, draw_again(units, ["source", "video_id"], draws=500))


def test_without_sources_it_is_the_bootstrap_of_videos():
    values = np.random.default_rng(0).normal(size=40)
    units = units_of(pd.DataFrame({"video_id": range(40)}), pd.Index(range(40)))
    low, high = mean_interval(values, draw_again(units, ["source", "video_id"]))
    sets = np.random.default_rng(1).integers(40, size=(2000, 40))
    assert (low, high) == pytest.approx(np.quantile(values[sets].mean(1), [0.025, 0.975]), abs=0.03)


def worlds(count=100):
    """Of each world 12 sources with 5 videos each, right together with probability 0.7."""
    for world in range(count):
        right = np.repeat(np.random.default_rng(world).random(12) < 0.7, 5)
        yield predictions(right, np.repeat([f"s{n}" for n in range(12)], 5))


def test_intervals_of_videos_that_are_alike_hold_nineteen_of_twenty_true_values():
    held, taken_for_many = [], []
    for rows in worlds():
        for table, into in ((rows, held), (rows.drop(columns="source"), taken_for_many)):
            (row,) = intervals(table, videos=60).itertuples()
            into.append(row.accuracy_low <= 0.7 <= row.accuracy_high)
    assert np.mean(held) >= 0.85  # twelve are few: a bootstrap's intervals are a little short
    assert np.mean(taken_for_many) < 0.75  # what the test is for


def test_the_intervals_of_a_runs_table_count_sources():
    rows = next(worlds())
    three = [rows.assign(method=name) for name in ("a", "uniform", "oracle")]
    rows = pd.concat(three).assign(clips=1, of=10, in_segments=np.nan, fell_back=False)
    costs = pd.DataFrame({"method": ["a", "uniform", "oracle"], "seconds_per_video": 1.0})
    wide = summarise(rows, costs, k=1, videos=60).iloc[0]
    narrow = summarise(rows.drop(columns="source"), costs, k=1, videos=60).iloc[0]
    assert wide["accuracy"] == narrow["accuracy"]
    assert wide["accuracy_high"] - wide["accuracy_low"] > 1.5 * (
        narrow["accuracy_high"] - narrow["accuracy_low"]
    )


def test_two_methods_that_differ_in_one_source_do_not_differ():
    """Ten videos of one recording on which a is right and b is not are one look."""
    right = np.ones(30, bool)
    source = [f"s{max(0, n - 9)}" for n in range(30)]
    a, b = predictions(right, source), predictions(right & (np.arange(30) >= 10), source, "b")
    told = compare(pd.concat([a, b]), "a", "b")
    assert told.p > 0.5 and told.low == 0
    untold = compare(pd.concat([a, b]).drop(columns="source"), "a", "b")
    assert untold.p < 0.01 and untold.low > 0
    assert told.difference == untold.difference == pytest.approx(1 / 3)
