"""The table: picks, intervals, costs, and the controls that would catch self-deception."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scslib.datasets.manifest import Dataset
from scslib.evaluation.coverage import coverage_note, coverage_title, video_status
from scslib.evaluation.exits import Adaptive
from scslib.evaluation.methods import ByPolicy, Shuffled
from scslib.evaluation.segments import overlap
from scslib.evaluation.statistics import intervals, newcombe, p_of_guessing, wilson
from scslib.evaluation.table import evaluate, fused_table, over_seeds, summarise
from scslib.samplers.set_policies import make_policy
from tests.support.runs import statuses

CLASSES = ("a", "b", "c", "d")
VIDEOS, CLIPS, SALIENT = 60, 40, 4


class Scores(dict):
    """The part of `Shards` that `evaluate` uses: probabilities by video, and what was read."""

    def get(self, video_id, name):
        if name == "times":
            return np.arange(len(self[video_id]))[:, None] + [0.0, 1.0]
        return self[video_id]

    def has(self, video_id, name):
        return name != "clip"

    @property
    def status(self):
        return statuses(*[(v, "ok", CLIPS) for v in self])


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
    return evaluate(dataset, dataset.videos, scores, scores, saliency, k=4, seeds=[0, 1])


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
    also = [Adaptive("visual")]
    found = evaluate(dataset, dataset.videos, scores, scores, saliency, k=8, seeds=[0, 1], also=also)
    rows = found.set_index(["seed", "video_id"])
    adaptive, visual = (rows[rows["method"] == name] for name in ("adaptive", "visual"))
    pd.testing.assert_series_equal(adaptive["predicted"], visual["predicted"])
    assert (adaptive["clips"] <= visual["clips"]).all() and adaptive["clips"].mean() < 7.5


def test_another_policy_takes_other_clips_by_the_same_saliencies(world):
    dataset, scores, saliency = world
    also = [ByPolicy("visual", make_policy("cdf3")), ByPolicy("visual", make_policy("cdf0"))]
    found = evaluate(dataset, dataset.videos, scores, scores, saliency, k=4, seeds=[0], also=also)
    inside = found.groupby("method")["in_segments"].mean()
    assert inside["visual"] >= inside["visual+cdf3"] > inside["visual+cdf0"]
    # power 0 looks at no saliency
    assert inside["visual+cdf0"] == pytest.approx(inside["uniform"], abs=0.1)
    assert (found.loc[found["method"] == "visual+cdf3", "clips"] == 4).all()


def test_shuffled_saliency_is_no_better_than_random(world):
    dataset, scores, saliency = world
    also = [Shuffled("visual")]
    rows = evaluate(dataset, dataset.videos, scores, scores, saliency, k=4, seeds=[0, 1], also=also)
    accuracy = rows.groupby("method")["correct"].mean()
    low, high = wilson(int(rows[rows["method"] == "random"]["correct"].sum()), 2 * VIDEOS)
    assert low - 0.05 <= accuracy["shuffled"] <= high + 0.05
    assert accuracy["visual"] > high + 0.05  # the control can fail: unshuffled, the same scores do win


@pytest.mark.parametrize("change", ["added", "removed", "moved"])
def test_no_row_changes_with_the_other_methods(world, change):
    dataset, scores, saliency = world
    other = saliency.assign(method="other", saliency=-saliency["saliency"])
    tables = {"added": [saliency, other], "removed": [other], "moved": [other, saliency]}

    def rows_of(tables, *seeds):
        also = [Shuffled("visual")] if change != "removed" else []
        rows = evaluate(
            dataset, dataset.videos, scores, scores, tables, k=4, seeds=list(seeds), also=also
        )
        return rows.set_index(["method", "seed", "video_id"]).sort_index()

    before = rows_of(saliency, 0, 1)
    after = rows_of(pd.concat(tables[change]), 1, 0)
    same = before.index.intersection(after.index)
    assert set(same.get_level_values("method")) == {"random", "uniform", "dense", "oracle"} | (
        set() if change == "removed" else {"visual", "shuffled"}
    )
    pd.testing.assert_frame_equal(before.loc[same], after.loc[same])


def test_a_row_made_alone_is_the_same(world, predictions):
    dataset, scores, saliency = world
    alone = evaluate(
        dataset,
        dataset.videos[7:8],
        scores,
        scores,
        saliency[saliency["video_id"] == "v7"],
        k=4,
        seeds=[1],
    )
    keys = ["method", "seed", "video_id"]
    whole = predictions.set_index(keys).loc[alone.set_index(keys).index]
    pd.testing.assert_frame_equal(alone.set_index(keys), whole)


def test_shuffled_labels_give_chance(world):
    dataset, scores, saliency = world
    rng = np.random.default_rng(3)
    videos = dataset.videos.assign(label=rng.permutation(dataset.videos["label"]))
    rows = evaluate(dataset, videos, scores, scores, saliency, k=4, seeds=[0])
    accuracy = rows[rows["method"] == "visual"]["correct"].mean()
    low, high = wilson(VIDEOS // len(CLASSES), VIDEOS)
    assert low <= accuracy <= high


def answer(scores, picks):
    total = [sum(scores[p][c] for p in picks) for c in range(len(CLASSES))]
    return CLASSES[total.index(max(total))]


def test_prediction_is_the_argmax_of_the_mean_of_the_picked_rows(world, predictions):
    _, scores, saliency = world
    for row in predictions[predictions["method"] == "visual"].itertuples():
        of_row = saliency["method"].eq("visual") & saliency["seed"].eq(row.seed)
        values = saliency.loc[of_row & saliency["video_id"].eq(row.video_id), "saliency"].tolist()
        picks = sorted(range(CLIPS), key=lambda clip, of=values: -of[clip])[:4]
        assert row.predicted == answer(scores[row.video_id], picks)
        assert row.correct == (row.predicted == row.label)


def test_uniform_is_right_as_often_as_wherever_it_begins(world, predictions):
    """Against every beginning in a fine grid."""
    _, scores, _ = world
    for row in predictions[predictions["method"] == "uniform"].itertuples():
        begins = [(n + 0.5) / 1000 for n in range(1000)]
        picks = [[int((i + at) * CLIPS / 4) for i in range(4)] for at in begins]
        right = [answer(scores[row.video_id], some) == row.label for some in picks]
        assert row.correct == pytest.approx(np.mean(right), abs=0.04)


def test_random_is_right_as_often_as_a_set_of_clips_is(world, predictions):
    """Against all sets of four clips, within four standard deviations of 200 draws."""
    _, scores, _ = world
    sets = np.array(list(itertools.combinations(range(CLIPS), 4)))
    for row in predictions[predictions["method"] == "random"].head(8).itertuples():
        answers = np.asarray(scores[row.video_id])[sets].mean(1).argmax(1)
        share = (answers == CLASSES.index(row.label)).mean()
        assert abs(row.correct - share) <= 4 * np.sqrt(share * (1 - share) / 200) + 1e-9


def costs_of(predictions):
    costs = pd.DataFrame({"method": predictions["method"].unique()})
    return costs.assign(seconds_per_video=1.0, speedup_vs_dense=2.0, overhead_vs_uniform=3.0, gmacs=4.0)


def test_a_video_that_f_could_not_score_is_counted_not_forgotten(world):
    dataset, scores, saliency = world
    fewer = Scores({k: v for k, v in scores.items() if k != "v0"})
    rows = evaluate(dataset, dataset.videos, fewer, scores, saliency, k=4, seeds=[0])
    table = summarise(rows, costs_of(rows), k=4, videos=VIDEOS)
    assert set(table["videos_failed"]) == {1} and set(table["videos"]) == {VIDEOS - 1}
    assert table["coverage"].tolist() == [pytest.approx(59 / 60)] * len(table)


def test_a_silent_video_leaves_the_audio_sampler_with_uniform(world):
    dataset, scores, saliency = world
    heard = saliency[saliency["video_id"] != "v1"]
    rows = evaluate(dataset, dataset.videos, scores, scores, heard, k=4, seeds=[0])
    of_video = rows[rows["video_id"] == "v1"].set_index("method")
    for column in ("predicted", "correct"):
        assert of_video.loc["visual", column] == of_video.loc["uniform", column]


def test_summary_has_every_column_that_others_rely_on(predictions):
    table = summarise(predictions, costs_of(predictions), k=4, videos=VIDEOS)
    wanted = "method seed k clips videos accuracy accuracy_low accuracy_high seconds_per_video "
    wanted += "speedup_vs_dense overhead_vs_uniform gmacs "
    wanted += "videos_failed videos_partial videos_uniform coverage"
    assert set(wanted.split()) <= set(table.columns)
    assert table["method"].tolist()[:2] == ["random", "random"]
    covered = table.set_index(["method", "seed"])["covered"]
    assert covered["uniform", 0] == 0 and covered["oracle", 0] == 1
    summary = over_seeds(table, predictions)
    assert set(table["coverage"]) == set(summary["coverage"]) == {1.0}
    assert coverage_title(summary) == ""
    assert (summary["accuracy_low"] <= summary["accuracy"]).all()
    assert (summary["accuracy"] <= summary["accuracy_high"]).all()


def test_intervals_are_the_mean_over_seeds_and_hold_nineteen_of_twenty_true_values():
    """Drawn from a known accuracy of 0.7, again and again."""
    held = []
    for world in range(100):
        right = np.random.default_rng(world).random(80) < 0.7
        rows = pd.DataFrame({"video_id": np.arange(80), "method": "a", "seed": 0, "correct": right})
        rows["read"] = 1.0
        (row,) = intervals(rows, videos=80, draws=400).itertuples()
        assert row.accuracy == pytest.approx(right.mean())
        held.append(row.accuracy_low <= 0.7 <= row.accuracy_high)
    assert 0.88 <= np.mean(held) <= 0.99
    two = pd.concat([rows, rows.assign(seed=1, correct=False)])
    (row,) = intervals(two, videos=80).itertuples()
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


@pytest.mark.parametrize(
    "first, second, of, low, high",
    [
        # Newcombe, Statistics in Medicine 17 (1998), table II, method 10
        (9, 3, 10, 0.1705, 0.8090),
        (10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_newcombe_interval_against_published_values(first, second, of, low, high):
    assert newcombe(first / of, second / of, of) == pytest.approx((low, high), abs=1e-4)


def test_overlap_against_counting_milliseconds():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 50, 20).astype(float)
    end = start + rng.integers(1, 5, 20)
    spans = np.array([[3.0, 9.5], [20.25, 31.0]])
    for s, e, got in zip(start, end, overlap(start, end, spans), strict=True):
        t = np.arange(s, e, 0.001)
        counted = sum(((t >= a) & (t < b)).sum() for a, b in spans) * 0.001
        assert got == pytest.approx(counted, abs=0.01)


def test_a_saliency_that_is_no_number_is_named(world):
    dataset, scores, saliency = world
    broken = saliency.assign(saliency=saliency["saliency"].where(saliency.index != 7))
    with pytest.raises(ValueError, match="saliency of visual .* must be finite"):
        evaluate(dataset, dataset.videos, scores, scores, broken, k=4, seeds=[0, 1])


class Read(Scores):
    """Scores of which not all that the files declare could be read."""

    def __init__(self, arrays, *rows):
        super().__init__(arrays)
        self.rows = rows

    @property
    def status(self):
        return statuses(*self.rows, expected=4)


A, B = [0.9, 0.1], [0.1, 0.9]  # what f says of a clip; every video is an "a"


@pytest.fixture(scope="module")
def torn():
    """Five videos of four clips, K = 1: uniform shows each of the four as often.

    v0 is whole; v1 f could not read; v2 the samplers could not; of v3 f read two clips; of v4 the
    samplers read one. v3 and v4 have no sound.
    """
    probabilities = {"v0": [A, B, B, B], "v2": [B, A, B, B], "v3": [B, A], "v4": [B, B, A, B]}
    f = Read(
        {video_id: np.array(rows) for video_id, rows in probabilities.items()},
        *[("v0", "ok", 4), ("v1", "failed", 0), ("v2", "ok", 4), ("v3", "partial", 2), ("v4", "ok", 4)],
    )
    seen = {"v0": [1, 0, 0, 0], "v1": [0, 0, 0, 1], "v3": [0, 0.5, 1, 1], "v4": [1]}
    features = Read(
        seen,
        *[("v0", "ok", 4), ("v1", "ok", 4), ("v2", "timeout", 0), ("v3", "ok", 4), ("v4", "partial", 1)],
    )
    tables = []
    for method, ids in (("audio", ["v0", "v1"]), ("visual", list(seen))):
        for video_id in ids:
            clip = np.arange(len(seen[video_id]))
            table = {"seed": 0, "method": method, "video_id": video_id, "clip": clip}
            table |= {"start_s": 1.0 * clip, "end_s": clip + 1.0, "saliency": seen[video_id]}
            tables.append(pd.DataFrame(table))
    videos = pd.DataFrame({"video_id": [f"v{i}" for i in range(5)], "label": "a", "split": "test"})
    segments = pd.DataFrame({"video_id": ["v0", "v4"], "start_s": 0.0, "end_s": 1.0})
    dataset = Dataset(None, "torn", ("a", "b"), videos, segments)
    also = [Shuffled("visual")]
    rows = evaluate(dataset, videos, f, features, pd.concat(tables), k=1, seeds=[0], also=also)
    return rows, f, features


def test_coverage_of_each_method_is_what_it_could_read(torn):
    rows, *_ = torn
    methods = summarise(rows, costs_of(rows), k=1, videos=5)
    table = methods.set_index("method")
    columns = ["videos", "videos_failed", "videos_partial", "videos_uniform"]
    # f: v0, v2, half of v3, v4 of five; the samplers: v0, half of v3, a quarter of v4
    for method in ("random", "uniform", "dense", "oracle"):
        assert table.loc[method, columns].tolist() == [4, 1, 1, 0], method
        assert table.loc[method, "coverage"] == pytest.approx(3.5 / 5)
    for method, uniform in (("audio", 2), ("visual", 0), ("shuffled", 0)):
        assert table.loc[method, columns].tolist() == [3, 2, 2, uniform], method
        assert table.loc[method, "coverage"] == pytest.approx(1.75 / 5)
    summary = over_seeds(methods, rows).set_index("method")
    pd.testing.assert_frame_equal(
        summary[[*columns, "coverage"]], table[[*columns, "coverage"]], check_dtype=False
    )
    assert coverage_title(summary) == ", coverage 35.0 %"


def test_a_video_that_no_sampler_could_read_is_not_given_uniforms_answer(torn):
    rows, *_ = torn
    by_method = rows.groupby("method")["video_id"].agg(list)
    assert by_method["uniform"] == ["v0", "v2", "v3", "v4"]
    assert by_method["visual"] == by_method["audio"] == by_method["shuffled"] == ["v0", "v3", "v4"]
    fallen = rows[rows["fell_back"]]
    assert set(zip(fallen["method"], fallen["video_id"], strict=True)) == {
        ("audio", "v3"),
        ("audio", "v4"),
    }


def test_accuracies_beside_each_other_are_of_the_same_videos(torn):
    rows, *_ = torn
    table = summarise(rows, costs_of(rows), k=1, videos=5).set_index("method")
    # one clip in four is an A, in v3 one of two
    assert table.loc["uniform", "accuracy"] == pytest.approx((0.25 + 0.25 + 0.5 + 0.25) / 4)
    assert table.loc["visual", "accuracy"] == pytest.approx(2 / 3)  # v0, v3
    uniform, audio = 1 / 3, (1 + 0.5 + 0.25) / 3  # of v0, v3, v4; audio has v0 by its own
    assert table.loc["visual", "covered"] == pytest.approx((2 / 3 - uniform) / (1 - uniform))
    assert table.loc["audio", "covered"] == pytest.approx((audio - uniform) / (1 - uniform))
    visual = over_seeds(table.reset_index(), rows).set_index("method").loc["visual"]
    assert visual["accuracy"] == pytest.approx(2 / 3) and visual["accuracy_high"] == 1


def test_an_interval_counts_no_video_that_the_method_has_not_seen():
    """b is right in each of the five videos that it could read."""
    a = pd.DataFrame({"video_id": range(10), "method": "a", "seed": 0, "correct": True, "read": 1.0})
    found = intervals(pd.concat([a, a[:5].assign(method="b")]), videos=20).set_index("method")
    assert found[["accuracy", "accuracy_high"]].to_numpy() == pytest.approx(1)
    assert found["coverage"].to_dict() == {"a": 0.5, "b": 0.25}


def test_all_right_is_not_certain():
    """Drawn again, videos that are all right say nothing: as many answers as sources, by SciPy."""
    a = pd.DataFrame({"video_id": range(12), "method": "a", "seed": 0, "correct": True, "read": 1.0})
    wrong = a.assign(method="b", correct=False)
    for sources, rows in ((12, a), (4, a.assign(source=a["video_id"] % 4))):
        rows = pd.concat([rows, wrong.assign(source=rows["source"]) if "source" in rows else wrong])
        found = intervals(rows, videos=12).set_index("method")
        for method, right in (("a", sources), ("b", 0)):
            ci = stats.binomtest(right, sources).proportion_ci(method="wilson")
            ours = found.loc[method, ["accuracy_low", "accuracy_high"]].tolist()
            assert ours == pytest.approx([ci.low, ci.high], abs=1e-6)


def test_saliencies_of_other_videos_are_no_silent_videos(world):
    """As from a CSV whose ids 007 were read as the number 7."""
    dataset, scores, saliency = world
    other = saliency.assign(video_id=saliency["video_id"].str.removeprefix("v").astype(int))
    with pytest.raises(ValueError, match=r"saliency: its video .0. is none of the 60 videos"):
        evaluate(dataset, dataset.videos, scores, scores, other, k=4, seeds=[0])


def test_picks_in_segments_pass_over_clips_whose_times_nobody_knows(torn):
    rows = torn[0].set_index(["method", "video_id"])["in_segments"]
    assert np.isnan(rows["visual", "v3"])  # which has no segments
    assert rows["visual", "v4"] == rows["uniform", "v4"] == 1  # of the one clip of v4 that has times
    assert rows["dense", "v0"] == 0.25 and rows["dense", "v4"] == 1


def test_the_note_says_what_is_missing_and_agrees_with_the_table(torn, tmp_path):
    rows, f, features = torn
    status = video_status(f, features)
    line = "coverage 35.0 %: 2 of 5 test videos could not be read (1 failed, 1 timeout for the samplers "
    line += "only), 2 only in part: see results/videos.csv"
    assert coverage_note(status) == line
    assert min(intervals(rows, videos=5)["coverage"]) == pytest.approx(0.35)
    held = statuses(("h0", "timeout", 0), ("h1", "ok", 4)).assign(split="held out")
    both = pd.concat([held, status.assign(split="test")])
    both.to_csv(tmp_path / "videos.csv", index=False)
    assert coverage_note(pd.read_csv(tmp_path / "videos.csv")) == line


def answers_of(rng, knows, labels):
    """f's answers to 10 clips of each video: all alike, and right in the share `knows` of the videos."""
    guesses = np.where(rng.random(len(labels)) < knows, labels, rng.integers(4, size=len(labels)))
    names = [f"v{number}" for number in range(len(labels))]
    table = pd.DataFrame({"video_id": names, "label": labels, "answer": guesses})
    return table.loc[table.index.repeat(10)]


def test_one_who_guesses_is_taken_for_one_who_knows_as_often_as_p_says():
    """Clips of a video count as one: taken for many, every second guesser would pass."""
    rng, labels = np.random.default_rng(0), np.arange(40) % 4
    guessers = np.array([p_of_guessing(answers_of(rng, 0.0, labels)) for _ in range(400)])
    assert 0.02 < (guessers < 0.05).mean() < 0.08
    knowers = np.array([p_of_guessing(answers_of(rng, 0.5, labels)) for _ in range(100)])
    assert (knowers < 0.01).mean() > 0.95
    right = answers_of(rng, 1.0, labels)
    assert p_of_guessing(right) == 0.0 and p_of_guessing(right.assign(answer=-1)) == 1.0


def test_the_most_frequent_class_for_every_clip_is_guessing():
    labels = np.where(np.arange(40) < 30, 0, 1)
    answers = answers_of(np.random.default_rng(0), 1.0, labels).assign(answer=0)
    assert p_of_guessing(answers) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(p_of_guessing(answers[:10]))
