"""The table: picks, intervals, costs, and the controls that would catch self-deception."""

import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import Dataset
from scslib.evaluation import (
    evaluate,
    fused_table,
    intervals,
    over_seeds,
    overlap,
    pick_clips,
    summarise,
    wilson,
)

CLASSES = ("a", "b", "c", "d")
VIDEOS, CLIPS, SALIENT = 60, 40, 4


class Scores(dict):
    """The part of `Shards` that `evaluate` uses: probabilities by video."""

    def get(self, video_id, name):
        return self[video_id]


@pytest.fixture(scope="module")
def world():
    """Videos in which f is right in 4 of 40 clips, and misled by one other class in the rest."""
    rng = np.random.default_rng(0)
    ids = [f"v{i}" for i in range(VIDEOS)]
    labels = rng.integers(len(CLASSES), size=VIDEOS)
    rows, spans, scores, tables = [], [], Scores(), []
    for video_id, label in zip(ids, labels, strict=True):
        rows.append((video_id, f"{video_id}.mp4", CLASSES[label], "test"))
        start = int(rng.integers(CLIPS - SALIENT))
        wrong = rng.integers(len(CLASSES))
        p = rng.dirichlet(np.ones(4), CLIPS)
        p[:, wrong] += 0.8
        p[start : start + SALIENT] = 0.05
        p[start : start + SALIENT, label] = 0.85
        scores[video_id] = p / p.sum(1, keepdims=True)
        spans.append((video_id, float(start), float(start + SALIENT)))
        salient = np.zeros(CLIPS)
        salient[start : start + SALIENT] = 1
        for seed in (0, 1):
            noisy = salient + rng.normal(0, 0.2, CLIPS)
            table = {"seed": seed, "method": "visual", "video_id": video_id, "clip": range(CLIPS)}
            table |= {"start_s": np.arange(CLIPS) * 1.0, "end_s": np.arange(CLIPS) + 1.0}
            tables.append(pd.DataFrame(table | {"saliency": noisy}))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    segments = pd.DataFrame(spans, columns=["video_id", "start_s", "end_s"])
    return Dataset(None, "toy", CLASSES, videos, segments), scores, pd.concat(tables)


@pytest.fixture(scope="module")
def predictions(world):
    dataset, scores, saliency = world
    return evaluate(dataset, dataset.videos, scores, saliency, k=4, seeds=[0, 1])


def test_a_good_sampler_beats_dense_and_the_oracle_is_on_top(predictions):
    accuracy = predictions.groupby("method")["correct"].mean()
    assert accuracy["oracle"] == 1.0
    assert accuracy["visual"] > accuracy["dense"] + 0.3
    inside = predictions.groupby("method")["in_segments"].mean()
    assert inside["visual"] > 0.9
    assert inside["random"] == pytest.approx(SALIENT / CLIPS, abs=0.06)
    assert inside["dense"] == pytest.approx(SALIENT / CLIPS, abs=1e-9)


def test_adaptive_gives_its_samplers_answers_with_fewer_clips(world):
    dataset, scores, saliency = world
    found = evaluate(dataset, dataset.videos, scores, saliency, k=8, seeds=[0, 1], adaptive="visual")
    rows = found.set_index(["seed", "video_id"])
    adaptive, visual = (rows[rows["method"] == name] for name in ("adaptive", "visual"))
    pd.testing.assert_series_equal(adaptive["predicted"], visual["predicted"])
    assert (adaptive["clips"] <= visual["clips"]).all() and adaptive["clips"].mean() < 7.5


def test_shuffled_saliency_is_no_better_than_random(world):
    dataset, scores, saliency = world
    rows = evaluate(dataset, dataset.videos, scores, saliency, k=4, seeds=[0, 1])
    accuracy = rows.groupby("method")["correct"].mean()
    low, high = wilson(int(rows[rows["method"] == "random"]["correct"].sum()), 2 * VIDEOS)
    assert low - 0.05 <= accuracy["shuffled"] <= high + 0.05
    assert accuracy["visual"] > high + 0.05  # the control can fail: unshuffled, the same scores do win


def test_shuffled_labels_give_chance(world):
    dataset, scores, saliency = world
    rng = np.random.default_rng(3)
    videos = dataset.videos.assign(label=rng.permutation(dataset.videos["label"]))
    rows = evaluate(dataset, videos, scores, saliency, k=4, seeds=[0])
    accuracy = rows[rows["method"] == "visual"]["correct"].mean()
    low, high = wilson(VIDEOS // len(CLASSES), VIDEOS)
    assert low <= accuracy <= high


def test_prediction_is_the_argmax_of_the_mean_of_the_picked_rows(world, predictions):
    dataset, scores, _ = world
    for row in predictions[predictions["method"] == "uniform"].itertuples():
        picks = [int((i + 0.5) * CLIPS / 4) for i in range(4)]
        total = [sum(scores[row.video_id][p][c] for p in picks) for c in range(len(CLASSES))]
        assert row.predicted == CLASSES[total.index(max(total))]


def test_a_video_that_f_could_not_score_is_counted_not_forgotten(world):
    dataset, scores, saliency = world
    fewer = Scores({k: v for k, v in scores.items() if k != "v0"})
    rows = evaluate(dataset, dataset.videos, fewer, saliency, k=4, seeds=[0])
    costs = pd.DataFrame({"method": rows["method"].unique()}).assign(
        seconds_per_video=1.0, speedup_vs_dense=1.0, overhead_vs_uniform=1.0
    )
    table = summarise(rows, costs, k=4, videos=VIDEOS)
    assert set(table["videos_failed"]) == {1} and set(table["videos"]) == {VIDEOS - 1}


def test_a_silent_video_leaves_the_audio_sampler_with_uniform(world):
    dataset, scores, saliency = world
    heard = saliency[saliency["video_id"] != "v1"]
    rows = evaluate(dataset, dataset.videos, scores, heard, k=4, seeds=[0])
    of_video = rows[rows["video_id"] == "v1"].set_index("method")
    assert of_video.loc["visual", "predicted"] == of_video.loc["uniform", "predicted"]


def test_summary_has_every_column_that_others_rely_on(predictions):
    costs = pd.DataFrame({"method": predictions["method"].unique()})
    costs = costs.assign(seconds_per_video=1.0, speedup_vs_dense=2.0, overhead_vs_uniform=3.0)
    table = summarise(predictions, costs, k=4, videos=VIDEOS)
    wanted = "method seed k clips videos accuracy accuracy_low accuracy_high seconds_per_video "
    wanted += "speedup_vs_dense overhead_vs_uniform videos_failed"
    assert set(wanted.split()) <= set(table.columns)
    assert table["method"].tolist()[:2] == ["random", "random"]
    covered = table.set_index(["method", "seed"])["covered"]
    assert covered["uniform", 0] == 0 and covered["oracle", 0] == 1
    summary = over_seeds(table, predictions)
    assert (summary["accuracy_low"] <= summary["accuracy"]).all()
    assert (summary["accuracy"] <= summary["accuracy_high"]).all()


def test_intervals_are_the_mean_over_seeds_and_hold_nineteen_of_twenty_true_values():
    """Drawn from a known accuracy of 0.7, again and again."""
    held = []
    for world in range(100):
        right = np.random.default_rng(world).random(80) < 0.7
        rows = pd.DataFrame({"video_id": np.arange(80), "method": "a", "seed": 0, "correct": right})
        (row,) = intervals(rows, draws=400).itertuples()
        assert row.accuracy == pytest.approx(right.mean())
        held.append(row.accuracy_low <= 0.7 <= row.accuracy_high)
    assert 0.88 <= np.mean(held) <= 0.99
    two = pd.concat([rows, rows.assign(seed=1, correct=False)])
    (row,) = intervals(two).itertuples()
    assert row.accuracy == pytest.approx(right.mean() / 2)
    assert row.spread_over_seeds == pytest.approx(right.mean())


def test_a_fused_table_holds_the_rules_picks_and_a_silent_video_its_visual_ones(world):
    _, _, seen = world
    rng = np.random.default_rng(4)
    heard = seen.assign(method="audio", saliency=rng.random(len(seen)))
    heard = heard[heard["video_id"] != "v3"]
    table = fused_table(pd.concat([seen, heard]), "union-list", {0: 0.5, 1: 1.0}, k=4)
    assert set(table["method"]) == {"union-list"} and len(table) == len(seen)
    for (seed, video_id), rows in table.groupby(["seed", "video_id"]):
        top = rows.nlargest(4, "saliency")["clip"].tolist()
        of = [t[(t["seed"] == seed) & (t["video_id"] == video_id)] for t in (seen, heard)]
        visual, audio = (t.nlargest(40, "saliency")["clip"].tolist() for t in of)
        take = 4 if video_id == "v3" or seed == 1 else 2
        expected = visual[:take] + [c for c in audio if c not in visual[:take]][: 4 - take]
        assert top == expected, (seed, video_id)


@pytest.mark.parametrize("correct, videos, low, high", [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634)])
def test_wilson_interval_against_published_values(correct, videos, low, high):
    assert wilson(correct, videos) == pytest.approx((low, high), abs=1e-3)


def test_overlap_against_counting_milliseconds():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 50, 20).astype(float)
    end = start + rng.integers(1, 5, 20)
    spans = np.array([[3.0, 9.5], [20.25, 31.0]])
    for s, e, got in zip(start, end, overlap(start, end, spans), strict=True):
        t = np.arange(s, e, 0.001)
        counted = sum(((t >= a) & (t < b)).sum() for a, b in spans) * 0.001
        assert got == pytest.approx(counted, abs=0.01)


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match="method \\('best'\\)"):
        pick_clips("best", np.ones((3, 2)), 0, 1, np.random.default_rng(0))
