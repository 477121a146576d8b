"""Differences over blocks, against what is known of numbers drawn for it."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scslib.evaluation.contrasts import (
    block_accuracies,
    by_setting,
    contrasts,
    in_words,
    pair_of,
    predictions_of,
)
from scslib.jobs.run_folder import Run


def block(rng, gap, videos=40, **of_method):
    """Predictions of two methods, of which `a` is right in `gap` more of the videos."""
    right = {"b": rng.random(videos) < 0.5}
    right["a"] = np.where(rng.random(videos) < abs(gap), gap > 0, right["b"])
    right |= of_method
    rows = [(m, 0, f"v{n}", float(c)) for m, values in right.items() for n, c in enumerate(values)]
    return pd.DataFrame(rows, columns=["method", "seed", "video_id", "correct"])


def test_a_contrast_is_the_mean_of_the_blocks_means():
    rng = np.random.default_rng(0)
    tables = {f"b{n}": block(rng, 0.4, videos=20 * (n + 1)) for n in range(4)}
    [row] = contrasts(tables, [("a", "b")]).itertuples()
    means = []
    for table in tables.values():
        wide = table.pivot(index="video_id", columns="method", values="correct")
        means.append((wide["a"] - wide["b"]).mean())
    assert row.difference == pytest.approx(np.mean(means)) and row.blocks == 4 and row.videos == 200
    low, high = stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means))
    assert (row.t_low, row.t_high) == pytest.approx((low, high))
    assert json.loads(row.of_blocks) == pytest.approx(means, abs=1e-4)


def test_a_methods_accuracy_is_the_mean_of_the_blocks_means():
    rng = np.random.default_rng(4)
    tables = {f"b{n}": block(rng, 0.3, videos=30 * (n + 1)) for n in range(3)}
    tables["b1"] = pd.concat([tables["b1"], tables["b1"].query("method == 'a'").assign(method="more")])
    table = block_accuracies(tables).set_index("method")
    means = [t.query("method == 'a'")["correct"].mean() for t in tables.values()]
    assert list(table.index) == ["b", "a"]  # not all blocks have the third
    assert table.loc["a", "accuracy"] == pytest.approx(np.mean(means))
    low, high = stats.t.interval(0.95, 2, loc=np.mean(means), scale=stats.sem(means))
    assert tuple(table.loc["a", ["t_low", "t_high"]]) == pytest.approx((low, high))
    assert table.loc["a", "low"] < table.loc["a", "accuracy"] < table.loc["a", "high"]
    assert table.loc["a", ["blocks", "videos"]].tolist() == [3, 180]


def test_runs_of_another_setting_are_no_blocks_of_this_one():
    """A sweep over K answers the same videos again and again; a run that broke has no answers."""
    rng = np.random.default_rng(5)
    tables = {f"k{k}-b{n}": block(rng, 0.1 * k) for k in (2, 6) for n in range(3)}
    blocks = {f"k={k}": [f"k{k}-b{n}" for n in range(3)] for k in (2, 6)} | {"k=9": ["broken"]}
    found = by_setting(blocks, tables, lambda own: contrasts(own, [("a", "b")]))
    assert found["setting"].tolist() == ["k=2", "k=6"] and found["blocks"].tolist() == [3, 3]
    for row, names in zip(found.itertuples(), blocks.values(), strict=False):
        [alone] = contrasts({name: tables[name] for name in names}, [("a", "b")]).itertuples()
        assert (row.difference, row.low, row.t_high) == (alone.difference, alone.low, alone.t_high)
    assert [line.split(": ")[0] for line in in_words(found)] == ["k=2", "k=6"]
    assert "setting" not in by_setting({"": blocks["k=2"]}, tables, lambda own: block_accuracies(own))


def test_methods_of_notebook_14_stand_beside_those_of_notebook_06(tmp_path):
    """What both have answered is taken from notebook 06; a run that has not ended is left out."""
    tables = {name: block(np.random.default_rng(n), 0.2) for n, name in enumerate(("one", "two"))}
    runs = [{"name": name, "status": "done"} for name in tables] + [{"name": "x", "status": "failed"}]
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": runs}))
    for name, table in tables.items():
        Run(tmp_path / "runs" / name).save_table("predictions", table)
    later = tables["two"].assign(correct=1.0)
    later = pd.concat([later, later[later["method"] == "a"].assign(method="learned")])
    Run(tmp_path / "runs" / "two").save_table("came_after_predictions", later)
    found = predictions_of(tmp_path)
    assert list(found) == ["one", "two"] and len(found["one"]) == len(tables["one"])
    means = found["two"].groupby("method")["correct"].mean()
    assert means["learned"] == 1 and means["a"] == tables["two"].query("method == 'a'")["correct"].mean()


def test_blocks_that_differ_make_the_interval_wide():
    """Many videos cannot make up for few blocks; alike, they can."""
    rng = np.random.default_rng(1)
    alike = {f"b{n}": block(rng, 0.3, videos=400) for n in range(5)}
    apart = {f"b{n}": block(rng, gap, videos=400) for n, gap in enumerate((-0.6, -0.1, 0.3, 0.7, 0.9))}
    [one], [other] = (list(contrasts(t, [("a", "b")]).itertuples()) for t in (alike, apart))
    assert other.high - other.low > 4 * (one.high - one.low)
    assert other.t_high - other.t_low > 4 * (one.t_high - one.t_low)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Blocks with a mean of their own around 0.2: by blocks alone in 95 of 100 worlds, about."""
    rng, held = np.random.default_rng(2), 0
    for _ in range(150):
        tables = {f"b{n}": block(rng, np.clip(rng.normal(0.2, 0.1), -1, 1), 60) for n in range(5)}
        [row] = contrasts(tables, [("a", "b")], draws=2).itertuples()
        held += row.t_low <= 0.1 <= row.t_high  # half of a gap changes an answer
    assert held >= 130


def test_words_say_what_is_shown_and_what_is_not():
    rng = np.random.default_rng(3)
    strong = contrasts({f"b{n}": block(rng, 0.8, 200) for n in range(5)}, [("a", "b"), ("b", "a")])
    first, second = in_words(strong)
    assert first.startswith("a - b: +") and first.endswith(": a is better")
    assert second.startswith("b - a: -") and second.endswith(": a is better")
    none = contrasts({f"b{n}": block(rng, 0.0) for n in range(5)}, [("a", "b")])
    assert in_words(none)[0].endswith("no difference is shown")
    assert "one block" in in_words(contrasts({"b": block(rng, 0.8)}, [("a", "b")]))[0]


def test_what_is_no_contrast_is_named():
    assert pair_of("audio-visual - visual") == ("audio-visual", "visual")
    for text in ("visual", "visual - visual", " - visual", "visual-dense"):
        with pytest.raises(ValueError, match="must be two methods, such as"):
            pair_of(text)
    with pytest.raises(ValueError, match="'c' is not a method of b0"):
        contrasts({"b0": block(np.random.default_rng(0), 0.1)}, [("c", "a")])
